# SPDX-License-Identifier: MIT
"""Proxies of the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from builder.engine.docker.container import Job, _config
from builder.errors import MachineError
from builder.system.process import run
from builder.system.proxy import (
    FILE,
    HERE,
    check_proxies,
    find_hosts,
    find_proxies,
    has_password,
    pass_proxies,
    take_proxies,
)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_a_program_gets_the_name_that_apt_reads(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://proxy:3128")
    lines = run(["env"]).stdout.splitlines()
    assert [line for line in lines if "proxy" in line.lower()] == ["http_proxy=http://proxy:3128"]


def test_the_lower_case_comes_first_and_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://one")
    monkeypatch.setenv("HTTP_PROXY", "http://two")
    monkeypatch.setenv("HTTPS_PROXY", "http://three")
    monkeypatch.setenv("NO_PROXY", "")
    assert find_proxies() == {"http_proxy": "http://one", "https_proxy": "http://three"}


def test_a_container_gets_both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "intern")
    assert pass_proxies() == {
        "http_proxy": "http://proxy:3128",
        "HTTP_PROXY": "http://proxy:3128",
        "no_proxy": "intern",
        "NO_PROXY": "intern",
    }


def test_a_container_takes_them_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@proxy:3128")
    (tmp_path / "proxies").write_text(json.dumps(pass_proxies()))
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv("http_proxy", "")  # so that it is given back after the test
    monkeypatch.setenv(FILE, str(tmp_path / "proxies"))
    take_proxies()
    assert find_proxies() == {"http_proxy": "http://user:secret@proxy:3128"}
    assert FILE not in os.environ
    take_proxies()


@pytest.mark.parametrize(
    ("value", "has"), [("http://proxy:1", False), ("http://u@proxy:1", False), ("http://u:p@p", True)]
)
def test_a_password_is_noticed(monkeypatch: pytest.MonkeyPatch, value: str, has: bool) -> None:
    monkeypatch.setenv("https_proxy", value)
    assert has_password() is has


def test_what_the_engine_shows_of_a_container_has_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:secret@proxy:3128")
    assert "secret" not in str(_config(Job("name", "image", ("true",), {}), {FILE: "/place"}))


@pytest.mark.parametrize(
    "value",
    ["proxy:3128", "172.17.0.1:9", "http://", "ftp://proxy", "http://[::1", "http//x", "user:secret@host:1"],
)
def test_what_is_no_address_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    with pytest.raises(MachineError, match="http_proxy: found an invalid proxy URL; expected http://") as caught:
        check_proxies()
    assert "http://HOST:PORT" in caught.value.hint
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("value", ["http://proxy:3128", "https://u:p@proxy", "http://[::1]:3128", "socks5h://proxy:1"])
def test_an_address_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("https_proxy", value)
    monkeypatch.setenv("no_proxy", "any thing, at all")
    check_proxies()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "cache.localhost"])
def test_a_container_cannot_reach_a_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("http_proxy", f"http://{host}:3142")
    check_proxies()
    with pytest.raises(MachineError, match="http_proxy: a container cannot reach") as caught:
        pass_proxies()
    assert f"http://{HERE}:PORT" in caught.value.hint


def test_the_engines_machine_has_a_name_where_a_proxy_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_hosts() == ()
    monkeypatch.setenv("HTTPS_PROXY", f"http://{HERE}:3142")
    assert find_hosts() == (f"{HERE}:host-gateway",)
    job = Job("x", "image", ("true",), {}, hosts=(f"{HERE}:host-gateway",))
    assert _config(job, {})["HostConfig"]["ExtraHosts"] == [f"{HERE}:host-gateway"]
    assert f"{FILE}=/place" in _config(job, {FILE: "/place"})["Env"]
