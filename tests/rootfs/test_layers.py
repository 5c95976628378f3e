# SPDX-License-Identifier: MIT
"""Layers: shared by boards, the same with and without overlayfs, found damaged, made once by two who want the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder import log
from builder.errors import ToolError
from builder.rootfs import bootstrap, layers, overlayfs
from builder.rootfs.layers import find_build_time
from builder.rootfs.overlayfs import Layer, changing, opened
from builder.rootfs.stored_tree import StoredTree, find_stored_tree, open_rootfs
from builder.system.process import run
from builder.system.workspace import Workspace, open_workspace
from tests.rootfs.test_remake import Trees, list_trees
from tests.support.archive import build_deb
from tests.support.known_package import link_indexes
from tests.support.log import Heard
from tests.support.recipes import write_board
from tests.support.rootfs_boards import plan_board
from tests.support.rootfs_system import MadeRootfs, take_rootfs

pytestmark = [pytest.mark.machine]


@pytest.fixture
def own(made: MadeRootfs, tmp_path: Path) -> Path:
    """A state with the packages, layers and indexes of the one real build, to be changed at will.

    Layers and indexes are names of the same inodes: builds replace such files and never write into them, and a test
    that spoils one must do the same. The fixture `made` finds out at its end whether one forgot to.
    """
    theirs, cache = made.state / "cache", tmp_path / "state/cache"
    cache.mkdir(parents=True)
    for path in theirs.iterdir():
        if path.name != "apt":
            link = ["--link"] if path.name == "layers" else []
            run(["cp", "--archive", *link, path, cache / path.name])
    link_indexes(made.plan, theirs, cache)
    return cache.parent


def spoil(path: Path, content: bytes) -> None:
    """Give a file another content, and let all but that be as it was."""
    times = path.stat()
    path.unlink()
    path.write_bytes(content)
    path.chmod(times.st_mode)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def build(made: MadeRootfs, state: Path, board: str = "board") -> tuple[StoredTree, Trees, list[str]]:
    """Make a rootfs; return it, all that is seen of it, and the notes of its log."""
    sink = Heard("note", "warn", "start")
    with log.use(sink), open_workspace(state, board) as workspace:
        kept = take_rootfs(plan_board(made.boards, board), workspace, cache=state / "cache")
        with open_rootfs(kept, state / "cache/layers", workspace) as rootfs:
            trees = list_trees(rootfs)
    return kept, trees, sink.kept


def made_steps(texts: list[str]) -> list[str]:
    """Return the layers that were made, by the steps that were told."""
    return [name for name in ("base", "packages", "system") if any(text.startswith(f"{name}: ") for text in texts)]


@pytest.mark.slow
class TestReal:
    def test_a_room_of_its_own_takes_both_layers(self, made: MadeRootfs, own: Path) -> None:
        kept, _, notes = build(made, own)
        assert made_steps(notes) == ["system"]
        assert kept.digest == made.kept.digest
        assert str(own) not in Path("/proc/self/mountinfo").read_text()

    def test_a_changed_file_costs_the_last_step_only(self, made: MadeRootfs, own: Path) -> None:
        write_board(made.boards, "file", "extends: board\n")
        (made.boards / "file/files/etc").mkdir(parents=True)
        (made.boards / "file/files/etc/mine").write_text("mine\n")
        kept, trees, notes = build(made, own, "file")
        assert made_steps(notes) == ["system"]
        assert kept.below == made.kept.below
        assert ("/", "etc/mine") in {entry[:2] for entry in trees}

    def test_a_damaged_base_is_found_and_made_again(self, made: MadeRootfs, own: Path) -> None:
        victim, content = damage(own, made.kept.below[0])
        kept, _, notes = build(made, own)
        assert made_steps(notes) == ["base", "system"]
        self.check_is_whole_again(made, own, kept, notes, step=0)
        assert victim.read_bytes() == content

    def test_damaged_packages_are_made_again_with_an_index_that_was_cut_short(
        self, made: MadeRootfs, own: Path
    ) -> None:
        """The index does not matter while all layers are there; apt itself would use it for ever."""
        victim, content = damage(own, made.kept.below[1])
        name = made.vendor.url.rpartition("/")[2]
        (index,) = (own / "cache/apt").glob(f"*/var/lib/apt/lists/*_{name}_*_Packages")
        whole = index.read_bytes()
        spoil(index, whole[: len(whole) // 2])
        kept, _, notes = build(made, own)
        assert made_steps(notes) == ["packages", "system"]
        self.check_is_whole_again(made, own, kept, notes, step=1)
        assert victim.read_bytes() == content
        assert f"{index} is damaged; it is fetched again" in notes
        assert index.read_bytes() == whole

    def check_is_whole_again(self, made: MadeRootfs, own: Path, kept: StoredTree, notes: list[str], step: int) -> None:
        layer = own / "cache/layers" / made.kept.below[step]
        assert any(f"{layer} is damaged" in text for text in notes)
        assert kept.digest == made.kept.digest
        again, before = (find_stored_tree(state / "cache/layers" / layer.name) for state in (own, made.state))
        assert again
        assert before
        assert again.digest == before.digest

    def test_without_overlayfs_the_same_is_seen(
        self, made: MadeRootfs, own: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All that lies on another is made again: the lowest layer is a whole tree everywhere."""
        monkeypatch.setattr(overlayfs, "find_obstacle", lambda _: "not today")
        shutil.rmtree(own / "cache/layers" / made.kept.below[1])
        kept, trees, notes = build(made, own)
        assert "storing layers as whole trees: not today" in notes
        packages = find_stored_tree(own / "cache/layers" / made.kept.below[1])
        assert packages
        assert (packages.is_whole, kept.is_whole) == (True, True)
        differences = [pair for pair in zip(list_trees(made.rootfs), trees, strict=True) if pair[0] != pair[1]]
        assert differences == []

    def test_of_two_who_want_the_same_the_second_waits(
        self, made: MadeRootfs, own: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two new boards of the family at once, with one package more: it is installed once, on the base of all."""
        for name in ("left", "right"):
            write_board(made.boards, name, f"extends: board\npackages: {{more: [mawk]}}\nhostname: {name}\n")
        installs: list[str] = []
        real = bootstrap.install_packages

        def count(plan: object, *arguments: object, **ways: object) -> None:
            installs.append(str(ways["target"]))
            real(plan, *arguments, **ways)  # type: ignore[arg-type]

        monkeypatch.setattr(layers, "install_packages", count)
        with ThreadPoolExecutor() as pool:
            pairs = list(pool.map(lambda name: build(made, own, name), ("left", "right")))
        assert len(installs) == 1
        assert sorted(made_steps(notes) for _, _, notes in pairs) == [["packages", "system"], ["system"]]
        left, right = (kept for kept, _, _ in pairs)
        assert left.below == right.below
        assert left.below[0] == made.kept.below[0]
        assert left.below[1] != made.kept.below[1]


def damage(state: Path, layer: str) -> tuple[Path, bytes]:
    """Change a byte of a layer, neither its size nor its time; return the file and what it held."""
    tree = state / "cache/layers" / layer
    victim = next(path for path in sorted(tree.rglob("*.list")) if path.is_file() and path.stat().st_size > 10)
    content = victim.read_bytes()
    spoil(victim, b"X" + content[1:])
    return victim, content


@pytest.fixture
def workspace(tmp_path: Path) -> object:
    with open_workspace(tmp_path / "a,b:c", "board") as one:
        yield one


def make_layer(directory: Path, files: dict[str, str]) -> Layer:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return Layer(directory, is_whole=True)


Change = Callable[[Path], None]


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_done_on_a_layer_does_not_reach_it(
    workspace: Workspace, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a state directory whose path has what overlayfs takes for the end of an option."""
    if whole:
        monkeypatch.setattr(overlayfs, "find_obstacle", lambda _: "not today")
    low = make_layer(workspace.scratch / "low", {"kept": "1", "gone": "2", "dir/old": "3"})
    with changing([low], workspace.scratch / "high/tree", workspace) as (tree, is_whole):
        assert is_whole == whole
        (tree / "gone").unlink()
        (tree / "kept").write_text("changed")
        shutil.rmtree(tree / "dir")
        (tree / "dir").mkdir()
        (tree / "dir/new").write_text("4")
    assert sorted(path.name for path in low.tree.rglob("*")) == ["dir", "gone", "kept", "old"]
    assert (low.tree / "kept").read_text() == "1"
    high = Layer(workspace.scratch / "high/tree", is_whole)
    with opened([low, high], workspace, "seen") as seen:
        assert sorted(path.relative_to(seen).as_posix() for path in seen.rglob("*")) == ["dir", "dir/new", "kept"]
        assert (seen / "kept").read_text() == "changed"
        if not whole:
            with pytest.raises(OSError, match="Read-only"):
                (seen / "kept").write_text("x")


def test_the_lowest_layer_is_the_tree_itself(workspace: Workspace) -> None:
    with changing([], workspace.scratch / "low/tree", workspace) as (tree, is_whole):
        (tree / "file").touch()
    assert is_whole
    with opened([Layer(tree, is_whole)], workspace, "seen") as seen:
        assert seen == tree


def test_a_filesystem_that_refuses_is_found_by_trying(workspace: Workspace, tmp_path: Path) -> None:
    assert overlayfs.find_obstacle(workspace) == ""
    tool = tmp_path / "bin/mount"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'wrong fs type, bad option' >&2; exit 32\n")
    tool.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin:/usr/sbin:/sbin")
        assert "wrong fs type" in overlayfs.find_obstacle(workspace)
    assert not (workspace.scratch / "probe-merged").exists()


def test_a_mount_that_fails_leaves_nothing(workspace: Workspace) -> None:
    missing = Layer(workspace.scratch / "missing", is_whole=False)
    low = make_layer(workspace.scratch / "low", {"file": "1"})
    with pytest.raises(ToolError), opened([low, missing], workspace, "seen"):
        raise AssertionError("it was mounted")
    assert workspace.journal.is_clear is False  # the scratch directory alone
    assert str(workspace.scratch) not in Path("/proc/self/mountinfo").read_text()


def test_the_time_of_a_layer_is_that_of_its_youngest_package(tmp_path: Path) -> None:
    for name, built in (("old", 1600000000), ("young", 1650000000)):
        build_deb(tmp_path, name, "1.0", files={"/usr/share/file": ""}, built=built)
    assert find_build_time(tmp_path) == 1650000000
    assert find_build_time(tmp_path / "none") == 0
