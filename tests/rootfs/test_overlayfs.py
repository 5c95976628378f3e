# SPDX-License-Identifier: MIT
"""Files that boards lay over a tree: their modes, who replaces whom, and that they never leave it."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.plan.model import Plan
from builder.rootfs import configure


def _overlay(directory: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        target = directory / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o664)
    return directory


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_are_laid_with_plain_modes(tmp_path: Path, plan: Plan, tree: Path) -> None:
    board = _overlay(
        tmp_path / "board",
        {"etc/a": "a", "etc/sudoers.d/crew": "s", "usr/local/bin/tool": "#!/bin/sh\n", "srv/.gitkeep": "", ".hid": "h"},
    )
    (board / "files/usr/local/bin/tool").chmod(0o770)
    (board / "files/etc/link").symlink_to("a")
    configure.lay_files(replace(plan, directories=(board,)), tree)
    modes = {name: _mode(tree / name) for name in ("etc/a", "etc/sudoers.d/crew", "usr/local/bin/tool", ".hid")}
    assert modes == {"etc/a": 0o644, "etc/sudoers.d/crew": 0o440, "usr/local/bin/tool": 0o755, ".hid": 0o644}
    assert (tree / "etc/link").readlink() == Path("a")
    assert not list(tree.rglob(".gitkeep"))


def test_a_childs_file_replaces_its_parents(tmp_path: Path, plan: Plan, tree: Path) -> None:
    """As a file of its own: neither the parent's link nor what that leads to is written to."""
    parent = _overlay(tmp_path / "parent", {"etc/a": "parent", "etc/only": "parent", "etc/target": "target"})
    (parent / "files/etc/b").symlink_to("target")
    child = _overlay(tmp_path / "child", {"etc/a": "child", "etc/b": "child"})
    (child / "files/etc/only").unlink(missing_ok=True)
    configure.lay_files(replace(plan, directories=(parent, child)), tree)
    texts = {name: (tree / "etc" / name).read_text() for name in ("a", "b", "only", "target")}
    assert texts == {"a": "child", "b": "child", "only": "parent", "target": "target"}
    assert not (tree / "etc/b").is_symlink()


def test_a_file_may_be_replaced_by_a_link_and_back(tmp_path: Path, plan: Plan, tree: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    _overlay(first, {"etc/a": "first"})
    _overlay(second, {"etc/b": "second"})
    (second / "files/etc/a").symlink_to("b")
    configure.lay_files(replace(plan, directories=(first, second)), tree)
    assert (tree / "etc/a").is_symlink()
    _overlay(third, {"etc/a": "third"})
    configure.lay_files(replace(plan, directories=(third,)), tree)
    assert (tree / "etc/a").read_text() == "third"
    assert (tree / "etc/b").read_text() == "second"


def test_links_of_the_tree_are_followed_inside_of_it(
    tmp_path: Path, plan: Plan, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configure, "find_owner", lambda _: "")  # tmp_path is in /tmp, which the build empties.
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree / "var/www").symlink_to(outside)  # absolute: in the booted system, a directory of the tree
    (tree / "opt").symlink_to("../../outside")
    board = _overlay(tmp_path / "board", {"lib/firmware/f": "f", "var/www/w": "w", "opt/o": "o"})
    configure.lay_files(replace(plan, directories=(board,)), tree)
    assert (tree / "usr/lib/firmware/f").read_text() == "f"
    assert (tree / outside.relative_to("/") / "w").read_text() == "w"
    assert (tree / "outside/o").read_text() == "o"
    assert list(outside.iterdir()) == []


def test_a_link_at_the_file_itself_is_replaced(tmp_path: Path, plan: Plan, tree: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (tree / "etc/conf").symlink_to(outside)
    configure.lay_files(replace(plan, directories=(_overlay(tmp_path / "board", {"etc/conf": "ours"}),)), tree)
    assert (outside.read_text(), (tree / "etc/conf").read_text()) == ("untouched", "ours")


def test_a_file_where_the_image_has_a_directory(tmp_path: Path, plan: Plan, tree: Path) -> None:
    board = _overlay(tmp_path / "board", {"usr/lib": "x"})
    with pytest.raises(RecipeError, match="is a file, but the image has a directory at /usr/lib"):
        configure.lay_files(replace(plan, directories=(board,)), tree)


@pytest.mark.parametrize("path", ["etc/group/x", "etc/group/deeper/x"])
def test_a_directory_where_the_image_has_a_file(tmp_path: Path, plan: Plan, tree: Path, path: str) -> None:
    board = _overlay(tmp_path / "board", {path: "x"})
    with pytest.raises(RecipeError, match="but the image has a file on the way"):
        configure.lay_files(replace(plan, directories=(board,)), tree)


def test_a_board_without_files(tmp_path: Path, plan: Plan, tree: Path) -> None:
    before = sorted(tree.rglob("*"))
    configure.lay_files(replace(plan, directories=(tmp_path,)), tree)
    assert sorted(tree.rglob("*")) == before


def test_files_of_the_real_boards(plan: Plan, tree: Path) -> None:
    configure.lay_files(plan, tree)
    for name in ("user-data", "meta-data", "network-config"):
        assert (tree / "boot/firmware" / name).is_file()
