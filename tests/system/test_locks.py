# SPDX-License-Identifier: MIT
"""Locks between processes: who waits, who is refused, and what has another name by then."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import MachineError
from builder.system.locks import is_held, is_still_at, lock, lock_named, locked
from tests.conftest import ROOT

HOLD = """
import sys
from pathlib import Path
from builder.system.locks import locked
with locked(Path(sys.argv[1]), shared=sys.argv[2] == "shared") as is_mine:
    print(is_mine, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below/lock"


def start(path: Path, kind: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", HOLD, str(path), kind]
    return subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(params=["shared", "alone"])
def holder(request: pytest.FixtureRequest, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock, until its stdin ends."""
    with start(path, request.param) as process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


@pytest.mark.parametrize("holder", ["alone"], indirect=True)
def test_a_lock_of_another_process_is_waited_for_or_reported(holder: subprocess.Popen[str], path: Path) -> None:
    with locked(path, wait=False) as is_mine, locked(path, shared=True, wait=False) as is_shared:
        assert (is_mine, is_shared, is_held(path)) == (False, False, True)
    with start(path, "alone") as second:
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(1)
        holder.communicate("", timeout=10)
        assert second.communicate("", timeout=10)[0] == "True\n"
    assert not is_held(path)


@pytest.mark.parametrize("holder", ["shared"], indirect=True)
def test_a_shared_lock_is_held_by_several(holder: subprocess.Popen[str], path: Path) -> None:
    with locked(path, wait=False) as is_mine, locked(path, shared=True, wait=False) as is_shared:
        assert (is_mine, is_shared, is_held(path)) == (False, True, True)


@pytest.mark.parametrize("holder", ["alone"], indirect=True)
def test_a_process_that_is_killed_holds_nothing(holder: subprocess.Popen[str], path: Path) -> None:
    holder.kill()
    holder.wait(10)
    assert not is_held(path)


def test_a_file_that_does_not_exist_is_not_held(path: Path) -> None:
    assert not is_held(path)
    assert not path.parent.exists()


def test_the_error_of_the_block_is_not_taken_for_a_held_lock(path: Path) -> None:
    with pytest.raises(BlockingIOError), locked(path):
        raise BlockingIOError
    with pytest.raises(MachineError), locked(path, wait=False):
        raise MachineError("x")


def test_a_directory_is_locked_by_its_descriptor(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY) for _ in range(2))
    try:
        assert lock_named(first, tmp_path)
        assert not lock(second, wait=False)
        os.close(first)
        assert lock_named(second, tmp_path, wait=False)
    finally:
        os.close(second)


@pytest.mark.parametrize("wait", [True, False])
def test_what_was_renamed_before_it_was_locked_is_refused(tmp_path: Path, wait: bool) -> None:
    path = tmp_path / "x.partial"
    with path.open("xb") as stream:
        path.rename(tmp_path / "x")
        assert not lock_named(stream, path, wait=wait)
        assert lock_named(stream, tmp_path / "x", wait=wait)


def test_what_was_renamed_or_made_anew_has_no_longer_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("xb") as stream:
        assert is_still_at(stream, path)
        assert is_still_at(stream.fileno(), path)
        path.rename(tmp_path / "y")
        assert not is_still_at(stream, path)
        path.touch()
        assert not is_still_at(stream, path)


def test_files_are_locked_in_one_place() -> None:
    locking = {
        path.relative_to(ROOT / "builder").as_posix()
        for path in (ROOT / "builder").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("flock", "lockf")
    }
    assert locking == {"system/locks.py"}
