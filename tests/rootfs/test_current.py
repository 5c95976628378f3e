# SPDX-License-Identifier: MIT
"""When the rootfs of the last build is taken."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder import log
from builder.cache_preview import HIT, preview_cache
from builder.choices import EmulationChoice, RootfsUse
from builder.errors import DownloadError
from builder.rootfs import make
from builder.rootfs.stored_tree import StoredTree
from builder.system.workspace import open_workspace
from tests.support.log import Heard
from tests.support.rootfs_boards import plan_board
from tests.support.rootfs_system import MadeRootfs, take_rootfs

pytestmark = [pytest.mark.machine, pytest.mark.slow]


class MadeAnewError(Exception):
    """Stands for minutes of work."""


@pytest.fixture
def notes() -> Iterator[list[str]]:
    sink = Heard("note", "warn")
    with log.use(sink):
        yield sink.kept


Again = Callable[..., StoredTree]


@pytest.fixture
def again(made: MadeRootfs, monkeypatch: pytest.MonkeyPatch, notes: list[str]) -> Again:
    """Build the board once more, up to the point where the rootfs would be made."""

    def refuse(*_: object, **__: object) -> StoredTree:
        raise MadeAnewError

    monkeypatch.setattr(make, "_make", refuse)

    def call(use: RootfsUse = RootfsUse.CURRENT, emulation: EmulationChoice = EmulationChoice.AUTO) -> StoredTree:
        plan = plan_board(made.boards, "board")
        with open_workspace(made.state, "board") as workspace:
            return take_rootfs(plan, workspace, emulation=emulation, cache=made.state / "cache", use=use)

    return call


@contextmanager
def replaced(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(text)
    yield
    path.write_text(before)


def test_it_is_taken_when_nothing_has_changed(made: MadeRootfs, again: Again, notes: list[str]) -> None:
    assert again() == made.kept
    assert notes == ["reusing the rootfs of the last build"]
    foreseen = preview_cache(made.state, plan_board(made.boards, "board"))
    assert [foreseen[step] for step in ("base", "packages", "system")] == [HIT] * 3


def test_it_is_not_taken_when_that_is_not_wanted(again: Again) -> None:
    with pytest.raises(MadeAnewError):
        again(RootfsUse.NEVER)


def test_a_newer_package_of_an_archive(made: MadeRootfs, again: Again, notes: list[str]) -> None:
    """What was asked for is the same: without a look at the archives it is taken, by the word of the user."""
    vendor = made.vendor
    before = list(vendor.debs)
    try:
        vendor.add("vendor-boot", "1.1")
        vendor.publish()
        assert again(RootfsUse.AS_ASKED) == made.kept
        with pytest.raises(MadeAnewError):
            again()
        assert notes[-1] == "making the rootfs again: vendor-boot 1.0 → 1.1"
    finally:
        vendor.debs[:] = before
        vendor.publish()


def test_a_file_of_the_board(made: MadeRootfs, again: Again, notes: list[str]) -> None:
    with replaced(made.boards / "board/files/etc/sudoers.d/own", "# other\n"):
        for use in (RootfsUse.CURRENT, RootfsUse.AS_ASKED):
            with pytest.raises(MadeAnewError):
                again(use)
        assert notes == ["making the rootfs again: overlays has changed"] * 2
        words = preview_cache(made.state, plan_board(made.boards, "board"))
    assert [words[step] for step in ("base", "packages", "system")] == [HIT, HIT, "miss: overlays has changed"]


def test_another_emulation(again: Again, notes: list[str]) -> None:
    with pytest.raises(MadeAnewError):
        again(emulation=EmulationChoice.QEMU)
    assert notes == ["making the rootfs again: emulation has changed"]


def test_another_mmdebstrap(again: Again, notes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "dpkg-query"
    tool.write_text("#!/bin/sh\necho mmdebstrap 99\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(MadeAnewError):
        again()
    assert notes == ["making the rootfs again: tool mmdebstrap has changed"]


def test_a_tree_that_somebody_wrote_into(made: MadeRootfs, again: Again, notes: list[str]) -> None:
    stranger = made.kept.directory / "tree/etc/stranger"
    before = stranger.parent.stat()
    stranger.touch()
    try:
        with pytest.raises(MadeAnewError):
            again(RootfsUse.AS_ASKED)
    finally:
        stranger.unlink()
        os.utime(stranger.parent, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "was changed" in notes[1]


def test_an_archive_that_is_away(made: MadeRootfs, again: Again) -> None:
    release = made.vendor.directory / "dists/trixie/InRelease"
    release.rename(release.with_name("away"))
    try:
        with pytest.raises(DownloadError) as caught:
            again()
        assert "--reuse-rootfs" in caught.value.hint
        assert again(RootfsUse.AS_ASKED) == made.kept
    finally:
        release.with_name("away").rename(release)
