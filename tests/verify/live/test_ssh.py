# SPDX-License-Identifier: MIT
"""A live system, with a program of ours in the place of ssh: it runs the command here, and can be told to fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import MachineError, VerifyError
from builder.verify.live import ssh as module
from builder.verify.live.qemu.machine import Machine, switched_on
from builder.verify.live.ssh import LiveSystem, Running, SshAddress, open_live_system

SSH = """#!/bin/sh
# A system that is restarted has another boot id. `down` makes it unreachable.
for word; do last=$word; done
cd "$(dirname "$0")"
echo "$last" >> calls
[ ! -e down ] || { echo "no route to it" >&2; exit 255; }
case "$last" in
    *boot_id) cat boot_id;;
    "sudo systemctl reboot")
        [ ! -e refuses ] || { echo "Call to Reboot failed" >&2; exit 1; }
        cp next_id boot_id
        [ ! -e gone ] || touch down;;
    cloud-init*) exit 1;;
    127.0.0.1) exit 0;;
    *) exec sh -c "$last";;
esac
"""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "ssh"
    program.write_text(SSH)
    program.chmod(0o755)
    (tmp_path / "boot_id").write_text("first\n")
    (tmp_path / "next_id").write_text("second\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("builder.verify.live.qemu.watch.greets", lambda *_: True)
    monkeypatch.setattr(module, "GLANCE_S", 0.01)
    return tmp_path


@pytest.fixture
def live(system: Path) -> Iterator[LiveSystem]:
    with open_live_system(Running(SshAddress("pirate", "127.0.0.1"), "board"), system) as live:
        yield live


def test_an_answer_is_what_a_command_said(live: LiveSystem) -> None:
    assert live.ask("echo yes; cat", stdin=b"and this\n") == "yes\nand this"


def test_a_command_that_fails_is_named_with_what_it_said(live: LiveSystem) -> None:
    with pytest.raises(VerifyError, match=r"'echo no >&2; false' ended with 1 on the system: no"):
        live.ask("echo no >&2; false")


def test_it_is_asked_only_when_it_has_settled(live: LiveSystem, system: Path) -> None:
    assert "cloud-init status --wait" in (system / "calls").read_text()


def test_a_restart_waits_for_another_boot(live: LiveSystem) -> None:
    live.restart()
    assert live.ask(module.BOOT_ID) == "second"


@pytest.mark.parametrize(
    ("left", "text", "message"),
    [
        ("next_id", "first\n", "0 s after its restart: it answers, but was not restarted"),
        ("gone", "", "0 s after its restart: it does not answer ssh: no route to it"),
    ],
)
def test_a_board_that_is_not_back_after_its_restart_says_how_it_was_asked(
    live: LiveSystem, system: Path, monkeypatch: pytest.MonkeyPatch, left: str, text: str, message: str
) -> None:
    monkeypatch.setattr(module, "BOOT_S", 0.1)
    (system / left).write_text(text)
    with pytest.raises(VerifyError, match=message):
        live.restart()


def test_a_board_that_refuses_to_restart_is_not_waited_for(live: LiveSystem, system: Path) -> None:
    (system / "refuses").touch()
    with pytest.raises(VerifyError, match="the system does not restart: Call to Reboot failed"):
        live.restart()


def test_a_board_that_is_not_there_is_no_answer(live: LiveSystem, system: Path) -> None:
    (system / "down").touch()
    with pytest.raises(VerifyError, match="ended with 255 on the system: no route to it"):
        live.ask("true")


def test_the_power_of_a_real_board_is_not_ours_to_cut(live: LiveSystem) -> None:
    with pytest.raises(MachineError, match="cannot be cut"):
        live.cut_power()


def test_a_machine_is_killed_and_started_again_and_gone_at_the_end(system: Path) -> None:
    argv = ("sleep", "60")
    with switched_on(Machine(argv, str(system / "console.log"), ssh_port=1), system) as first:
        running = Running(SshAddress("pirate", "127.0.0.1"), "board", first)
        with open_live_system(running, system) as live:
            live.cut_power()
            assert not first.is_running
            second = live.machine
            assert second
            assert second.is_running
        assert not second.is_running


def test_the_connection_is_ended_with_the_block(system: Path) -> None:
    with open_live_system(Running(SshAddress("pirate", "127.0.0.1"), "board"), system) as live:
        directory = live.control.parent
        assert directory.is_dir()
    assert not directory.exists()
    assert (system / "calls").read_text().splitlines()[-1] == "127.0.0.1"


def test_what_a_running_system_has_is_known(system: Path) -> None:
    assert Running(SshAddress("a", "b"), "c").traits == frozenset()
    assert Running(SshAddress("a", "b"), "c", Machine((), "", 1)).traits == {"machine"}
