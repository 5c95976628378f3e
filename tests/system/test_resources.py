# SPDX-License-Identifier: MIT
"""Resources that stay in use: waited for, then an error; a journal on a full disk keeps its order."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import BusyError, SpaceError
from builder.system import resources
from builder.system.process import run
from builder.system.resources import RELEASERS, loop_devices
from builder.system.workspace import find_leftovers, open_journal


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "GONE_S", 0.1)


@pytest.mark.machine
def test_a_loop_device_that_somebody_has_open_is_said(tmp_path: Path, short_wait: None) -> None:
    backing = tmp_path / "card.img"
    backing.write_bytes(bytes(1024 * 1024))
    device = Path(run(["losetup", "--find", "--show", backing]).stdout.strip())
    with device.open("rb"), pytest.raises(BusyError, match=f"{device} stays attached"):
        RELEASERS["loop"](str(backing))
    RELEASERS["loop"](str(backing))
    assert loop_devices(str(backing)) == []


def failing_rmtree(number: int, times: int, tries: list[Path]) -> object:
    real = shutil.rmtree

    def rmtree(path: Path) -> None:
        tries.append(path)
        if len(tries) <= times:
            raise OSError(number, "not now")
        real(path)

    return rmtree


def test_a_directory_that_is_still_written_to_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Path] = []
    monkeypatch.setattr(shutil, "rmtree", failing_rmtree(errno.ENOTEMPTY, 3, tries))
    (tmp_path / "x").mkdir()
    RELEASERS["directory"](str(tmp_path / "x"))
    assert len(tries) == 4


@pytest.mark.parametrize(("number", "once"), [(errno.ENOTEMPTY, False), (errno.EPERM, True)])
def test_a_directory_that_will_not_go_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_wait: None, number: int, once: bool
) -> None:
    tries: list[Path] = []
    monkeypatch.setattr(shutil, "rmtree", failing_rmtree(number, 1000, tries))
    with pytest.raises(OSError, match="not now"):
        RELEASERS["directory"](str(tmp_path))
    assert (len(tries) == 1) is once


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose disk has room for one page more."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.machine
def test_a_journal_on_a_full_disk_holds_whole_lines(full: Path) -> None:
    with open_journal(full, "x", RELEASERS) as journal:
        with journal.holding("directory", full / "a"):
            subprocess.run(["dd", "if=/dev/zero", f"of={full}/filler"], stderr=subprocess.DEVNULL, check=False)
            lines = journal.path.read_bytes()
            with pytest.raises(SpaceError, match="jsonl"), journal.holding("directory", "b" * 4096):
                pass
            assert journal.path.read_bytes() == lines
        assert journal.is_clear
    assert find_leftovers(full) == []


@pytest.mark.machine
def test_what_is_given_back_on_a_full_disk_is_given_back(full: Path) -> None:
    given: list[str] = []
    with open_journal(full, "x", {"mount": given.append}) as journal:
        with journal.holding("mount", "c" * (4096 - 100)):
            subprocess.run(["dd", "if=/dev/zero", f"of={full}/filler"], stderr=subprocess.DEVNULL, check=False)
        assert journal.is_clear
        assert len(given) == 1
        assert b'"free"' not in journal.path.read_bytes()
    assert find_leftovers(full) == []
