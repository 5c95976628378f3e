# SPDX-License-Identifier: MIT
"""What the doctor finds on a machine, and that it gives back what is ours and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from docker import APIClient

from builder.choices import Engine
from builder.doctor import doctor, machine
from builder.doctor.doctor import examine, give_back, render_table, run_doctor
from builder.doctor.machine import examine_kernel, examine_leftovers, examine_space, examine_tools
from builder.engine.docker.container import LABEL_BUILD, find_orphans
from builder.engine.finding import Finding
from builder.system.tools import DEBIAN_PACKAGES
from builder.system.workspace import find_leftovers
from tests.support.log import Heard


def _leave(state: Path, kind: str, name: str) -> None:
    """A journal whose owner is dead."""
    (state / "journals").mkdir(parents=True, exist_ok=True)
    text = json.dumps({"event": "hold", "kind": kind, "name": name}) + "\n"
    (state / "journals" / f"x-{kind}.jsonl").write_text(text, encoding="utf-8")


def test_leftovers_are_listed_and_given_back(tmp_path: Path, heard: Heard) -> None:
    scratch = tmp_path / "scratch-0123abcd"
    scratch.mkdir()
    _leave(tmp_path, "directory", str(scratch))
    assert [f.text for f in examine_leftovers(tmp_path)] == [f"directory {scratch}"]
    give_back(tmp_path, engine=Engine.LOCAL)
    assert not scratch.exists()
    assert examine_leftovers(tmp_path) == [Finding("leftovers", True, "none")]


def test_without_an_engine_containers_stay_in_the_journal(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    _leave(tmp_path, "container", "boardwright-x-0")
    give_back(tmp_path)
    assert len(find_leftovers(tmp_path)) == 1
    assert any("containers are not checked" in text for text in heard.texts("note"))
    for obstacle in ("", "you are not root"):
        monkeypatch.setattr(doctor, "find_local_obstacle", lambda found=obstacle: found)
        (engine, *_) = examine(tmp_path)
        assert engine.ok == (not obstacle)
        assert ("builds run on this machine" in engine.text) == (not obstacle)
    assert not examine(tmp_path, engine=Engine.DOCKER)[0].ok


@pytest.mark.machine
def test_a_stray_loop_device_is_detached_and_a_foreign_one_is_not(tmp_path: Path, heard: Heard) -> None:
    state = tmp_path / "state"
    state.mkdir()
    devices = []
    for path in (state / "ours.img", tmp_path / "foreign.img"):
        path.write_bytes(bytes(1024 * 1024))
        found = subprocess.run(["losetup", "--find", "--show", path], check=True, capture_output=True, text=True)
        devices.append(found.stdout.strip())
    try:
        (state / "ours.img").unlink()
        (finding,) = examine_leftovers(state)
        assert finding.text.startswith(f"{devices[0]} is attached to")
        give_back(state, engine=Engine.LOCAL)
        assert examine_leftovers(state)[0].ok
        listed = subprocess.run(["losetup", "--list"], check=True, capture_output=True, text=True).stdout
        assert str(tmp_path / "foreign.img") in listed
        assert str(state / "ours.img") not in listed
    finally:
        subprocess.run(["losetup", "--detach", devices[1]], check=True)


@pytest.mark.parametrize(
    ("kernel", "words"), [("6.7.0-x", "native speed"), ("6.12", "native"), ("6.6.1", "no private")]
)
def test_the_kernel_decides_the_emulation(kernel: str, words: str) -> None:
    assert words in examine_kernel(kernel)[0].text


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "TOOLS", ("no-such-tool", "mount"))
    monkeypatch.setitem(DEBIAN_PACKAGES, "no-such-tool", "no-such-package")
    (finding,) = examine_tools()
    assert (finding.ok, finding.text) == (False, "missing: no-such-tool")
    assert finding.fix == "apt-get install no-such-package"


def test_too_little_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine_space(tmp_path / "not" / "there")[0].ok
    monkeypatch.setattr(machine, "ROOM", 1 << 60)
    assert not examine_space(tmp_path)[0].ok


def test_the_report_is_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _leave(tmp_path, "directory", str(tmp_path / "scratch-0123abcd"))
    assert not run_doctor(tmp_path, engine=Engine.LOCAL, json=True)
    assert {"area", "ok", "text", "fix"} == set(json.loads(capsys.readouterr().out)[0])
    run_doctor(tmp_path, engine=Engine.LOCAL, fix=True)
    assert "emulation" in capsys.readouterr().out
    assert render_table([Finding("a", False, "b", "c")]).row_count == 1


@pytest.mark.engine
def test_a_container_of_somebody_else_is_left_alone(api: APIClient, stub_image: str, tmp_path: Path) -> None:
    labels = {LABEL_BUILD: "x", "boardwright.host": "another", "boardwright.journal": f"{tmp_path}/journals/x.jsonl"}
    container = api.create_container(stub_image, "true", labels=labels)["Id"]
    try:
        assert find_orphans(api, tmp_path) == []
    finally:
        api.remove_container(container)


@pytest.mark.engine
def test_the_engine_is_described(api: APIClient, tmp_path: Path, stub: str) -> None:
    found = examine(tmp_path, volume="boardwright-test-absent")
    assert found[0].area == "engine"
    assert api.version()["Version"] in found[0].text
