# SPDX-License-Identifier: MIT
"""A file under its final name is complete, whatever happens while it is written."""

from __future__ import annotations

import ast
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builder.errors import SpaceError
from builder.system.atomic import give_name, replaced, sync, write_replaced
from tests.conftest import ROOT

WAYS = [(True, True), (True, False), (False, False)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below/file"


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def fail(path: Path, error: type[BaseException], *, is_locked: bool, durable: bool) -> None:
    with replaced(path, is_locked=is_locked, durable=durable) as aside:
        aside.write_bytes(b"half")
        raise error("x")


@pytest.mark.parametrize(("is_locked", "durable"), WAYS)
def test_the_new_file_takes_the_place_of_the_old_one(path: Path, is_locked: bool, durable: bool) -> None:
    for content in (b"old", b"new"):
        write_replaced(path, content, is_locked=is_locked, durable=durable)
        assert path.read_bytes() == content
        assert names(path.parent) == ["file"]


def test_until_the_end_the_old_file_is_there(path: Path) -> None:
    write_replaced(path, b"old")
    with replaced(path) as aside:
        aside.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SpaceError])
@pytest.mark.parametrize(("is_locked", "durable"), WAYS)
def test_an_error_leaves_the_old_file_and_nothing_aside(
    path: Path, is_locked: bool, durable: bool, error: type[BaseException]
) -> None:
    write_replaced(path, b"old")
    with pytest.raises(error):
        fail(path, error, is_locked=is_locked, durable=durable)
    assert (path.read_bytes(), names(path.parent)) == (b"old", ["file"])


def test_a_block_that_writes_nothing_is_an_error(path: Path) -> None:
    write_replaced(path, b"old")
    with pytest.raises(FileNotFoundError), replaced(path):
        pass
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["file", ".file.partial"])
def test_no_link_is_written_through(path: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.parent.mkdir()
    (path.parent / name).symlink_to(victim)
    write_replaced(path, b"new")
    assert (path.read_bytes(), path.is_symlink(), victim.read_text()) == (b"new", False, "precious")


def test_what_a_killed_process_left_aside_is_replaced(path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from builder.system.atomic import replaced\n"
        "with replaced(Path(sys.argv[1])) as aside:\n"
        "    aside.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert names(path.parent) == [".file.partial"]
    write_replaced(path, b"new")
    assert names(path.parent) == ["file"]


def test_two_that_hold_no_lock_do_not_mix(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with replaced(path, is_locked=False) as first:
        first.write_bytes(b"first")
        monkeypatch.setattr(os, "getpid", lambda: 1)
        write_replaced(path, b"second", is_locked=False)
        assert path.read_bytes() == b"second"
    assert (path.read_bytes(), names(path.parent)) == (b"first", ["file"])


def test_a_directory_gets_its_name_with_all_that_is_in_it(path: Path, tmp_path: Path) -> None:
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside/x").touch()
    give_name(tmp_path / "aside", path)
    assert names(path) == ["x"]


def test_a_disk_that_turns_out_to_be_full_has_no_half_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SpaceError):
        write_replaced(path, b"new")
    with pytest.raises(SpaceError):
        sync(path.parent)
    assert names(path.parent) == []


RENAMING = {
    "system/atomic": "the module that does it",
    "cache/usage": "takes the name from what is removed next",
    "rootfs/stored_tree": "likewise",
    "rootfs/twins": "moves files inside a tree that is being made",
}
"""Modules that rename files, and why they may."""


def is_renaming(node: ast.AST) -> bool:
    """Path.rename, os.rename, os.replace and Path.replace, which takes one argument; that of a text takes two."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
        return False
    name, value = node.func.attr, ast.unparse(node.func.value)
    return name in ("rename", "renames", "move") or (name == "replace" and (len(node.args) == 1 or value == "os"))


def test_files_get_their_final_name_in_one_place() -> None:
    renaming = {
        path.relative_to(ROOT / "builder").with_suffix("").as_posix()
        for path in (ROOT / "builder").rglob("*.py")
        if any(map(is_renaming, ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert renaming == set(RENAMING)
