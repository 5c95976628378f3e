# SPDX-License-Identifier: MIT
"""Plans of real boards, trees to work on, archives to build from, and one system that is really built."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.rootfs import emulation, overlayfs
from builder.rootfs.emulation import Emulation
from builder.rootfs.model import Rootfs
from builder.rootfs.stored_tree import (
    StoredTree,
    find_intact,
    find_stored_tree,
    open_rootfs,
    write_stored_tree,
)
from builder.system.process import run
from builder.system.workspace import Workspace, open_workspace
from tests.conftest import ROOT
from tests.support.archive import Archive, serve
from tests.support.emulation import REDIRECT, make_rootfs, write_tool
from tests.support.foreign import compile_twin
from tests.support.keys import OpenPgpKey, make_openpgp_key
from tests.support.rootfs_boards import EPOCH, PlanReal, plan_board
from tests.support.rootfs_system import MadeRootfs, take_rootfs, write_system


@pytest.fixture
def plan_real() -> PlanReal:
    """Plan a board of this repository."""

    def call(name: str, *, user_data: Path | None = None) -> Plan:
        return make_plan(load_board(ROOT / "boards", name), version="1.0", epoch=EPOCH, user_data=user_data)

    return call


@pytest.fixture
def plan(plan_real: PlanReal) -> Plan:
    return plan_real("rpi")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What identity needs of a tree, with the links that Debian has."""
    root = tmp_path / "rootfs"
    for path in ("etc", "usr/lib", "usr/bin", "usr/share/zoneinfo/Etc", "boot/firmware", "var"):
        (root / path).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "usr/share/zoneinfo/Etc/UTC").write_text("TZif")
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/GMT")
    (root / "usr/lib/os-release").write_text('ID=debian\nPRETTY_NAME="Debian"')
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "etc/group").write_text("root:x:0:\nsudo:x:27:\nadm:x:4:\ndocker:x:999:\n")
    return root


@pytest.fixture(scope="session")
def signer() -> Iterator[OpenPgpKey]:
    with make_openpgp_key("good") as one:
        yield one


@pytest.fixture(scope="session")
def stranger() -> Iterator[OpenPgpKey]:
    """A key that no board trusts."""
    with make_openpgp_key("stranger") as one:
        yield one


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A directory and the address it is served at."""
    directory = tmp_path_factory.mktemp("served")
    with serve(directory) as url:
        yield directory, url


@pytest.fixture(scope="session")
def make_archive(served: tuple[Path, str], signer: OpenPgpKey) -> Callable[[], Archive]:
    numbers = itertools.count()

    def call() -> Archive:
        name = f"archive{next(numbers)}"
        return Archive(served[0] / name, f"{served[1]}/{name}", signer)

    return call


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory, make_archive: Callable[[], Archive], stranger: OpenPgpKey
) -> Iterator[MadeRootfs]:
    """The system of tests/support/rootfs_system.py, built once."""
    vendor, docker, pinned = make_archive(), make_archive(), replace(make_archive(), signer=stranger)
    boards, state = tmp_path_factory.mktemp("boards"), tmp_path_factory.mktemp("state")
    write_system(boards, vendor, docker, pinned)
    plan = plan_board(boards, "board")
    started = time.time()
    with surroundings(tmp_path_factory.mktemp("home")), open_workspace(state, "board") as workspace:
        kept = take_rootfs(plan, workspace, cache=state / "cache")
        with open_rootfs(kept, state / "cache/layers", workspace) as rootfs:
            seen = copy_trees(rootfs, tmp_path_factory.mktemp("seen"))
    yield MadeRootfs(plan, seen, kept, state, boards, vendor, started)
    # Tests work on links to these.
    written = [name for name in kept.below if find_intact(state / "cache/layers" / name) is None]
    assert not written, f"a test wrote into the layers of the one real build: {written}"
    for directory in (state, seen.trees["/"].parent):
        shutil.rmtree(directory)  # 200 MB each, which pytest would keep for three sessions


@contextmanager
def surroundings(home: Path) -> Iterator[None]:
    """Build with settings of a user, which must not reach the image."""
    before = os.umask(0o077)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"HOME": str(home), "TERM": "xterm-256color", "TMPDIR": str(home)}.items():
                patch.setenv(name, value)
            yield
    finally:
        os.umask(before)


def copy_trees(rootfs: Rootfs, directory: Path) -> Rootfs:
    """Copy what is seen for a while only."""
    trees = {mount: directory / (mount.strip("/").replace("/", "-") or "root") for mount in rootfs.trees}
    for mount, tree in rootfs.trees.items():
        run(["cp", "--archive", tree, trees[mount]])
    return Rootfs(trees, rootfs.packages)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one directory, where dpkg says that the machine is an amd64."""
    directory = tmp_path / "tools"
    directory.mkdir()
    write_tool(directory / "dpkg", "echo amd64")
    monkeypatch.setenv("PATH", str(directory))
    return directory


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    make_rootfs(tmp_path / "rootfs")
    return tmp_path / "rootfs"


@pytest.fixture
def redirect(tmp_path: Path) -> Emulation:
    """Twins for all programs of the rootfs but one."""
    tree = tmp_path / "twins"
    compile_twin(tree / "bin/tool")
    for name in ("usr/bin/dpkg", "usr/bin/dpkg-deb", "usr/bin/python3.13"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / "bin/tool", tree / name)
    (tree / "qemu").touch()
    return replace(REDIRECT, helper=emulation._make_helper(tmp_path), twins=tree)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "state", "board") as one:
        yield one


@pytest.fixture
def layer(tmp_path: Path, workspace: Workspace) -> StoredTree:
    """A layer with all that is hard to carry: a removed file, a replaced directory, a capability, an owner, a link."""
    low = tmp_path / "low"
    (low / "dir").mkdir(parents=True)
    for name in ("gone", "dir/old"):
        (low / name).touch()
    below = overlayfs.Layer(low, is_whole=True)
    aside = workspace.scratch / "made"
    with overlayfs.changing([below], aside / "tree", workspace) as (tree, is_whole):
        assert not is_whole
        (tree / "gone").unlink()
        (tree / "dir/old").unlink()
        (tree / "dir").rmdir()
        (tree / "dir").mkdir()
        (tree / "program").write_text("#!/bin/sh\n")
        run(["chown", "1000:1001", tree / "program"])
        run(["setcap", "cap_net_raw+ep", tree / "program"])
        (tree / "also").hardlink_to(tree / "program")
        (tree / "link").symlink_to("program")
    write_stored_tree(aside, is_whole=False, below=(), packages=(), origins={})
    directory = tmp_path / "one/layers/packages-trixie-arm64-0a"
    directory.parent.mkdir(parents=True)
    aside.rename(directory)
    kept = find_stored_tree(directory)
    assert kept
    return kept
