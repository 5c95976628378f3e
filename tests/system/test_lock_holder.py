# SPDX-License-Identifier: MIT
"""What a build says of the one it waits for."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from builder.engine.docker.container import _config, make_job
from builder.system.lock_holder import CONTAINER, read_holder, write_holder


def test_a_process_with_its_machine_and_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONTAINER, raising=False)
    monkeypatch.setattr("time.time", lambda: 1795799000.7)
    with (tmp_path / "lock").open("a+", encoding="utf-8") as stream:
        stream.write("what stood there")
        write_holder(stream)
        found = read_holder(stream)
    assert found == f"process {os.getpid()} on {platform.node()}, since 2026-11-27 17:03:20 UTC"


def test_a_container_by_the_name_that_it_has_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job("image", "rpi", ("true",), tmp_path / "journal")
    name, _, value = next(each for each in _config(job, {})["Env"] if each.startswith(CONTAINER)).partition("=")
    monkeypatch.setenv(name, value)
    with (tmp_path / "lock").open("a+", encoding="utf-8") as stream:
        write_holder(stream)
        found = read_holder(stream)
    assert found.startswith(f"container {job.name}, started on {platform.node()}, since 20")


@pytest.mark.parametrize(
    "text",
    ["", "1", "[]", "null", "{", "[" * 4096, '{"holder": "x"}', '{"holder": "x", "since": "y"}', '{"since": 1e300}'],
)
def test_a_lock_that_is_just_being_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock").write_text(text)
    with (tmp_path / "lock").open("a+", encoding="utf-8") as stream:
        assert read_holder(stream) == "another build"
