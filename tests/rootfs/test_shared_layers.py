# SPDX-License-Identifier: MIT
"""Layers that machines share by a bucket: taken where they are right, made where they are not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder import log
from builder.cache.remote import Remote
from builder.cache.store import Store
from builder.choices import CacheMode
from builder.rootfs import overlayfs, shared_layers
from builder.rootfs.inputs import Inputs
from builder.rootfs.stored_tree import StoredTree, digest_trees, find_stored_tree
from builder.system.process import run
from builder.system.workspace import Workspace, open_workspace
from tests.support.bucket import Bucket
from tests.support.layers import PLAIN, opened, send, take
from tests.support.log import Heard
from tests.support.rootfs_boards import plan_board
from tests.support.rootfs_system import MadeRootfs, take_rootfs

pytestmark = pytest.mark.machine


def test_it_comes_out_as_it_went_in(bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace) -> None:
    send(bucket, layer, tmp_path, workspace)
    taken, _ = take(bucket, layer, tmp_path, workspace)
    assert taken
    assert taken.digest == layer.digest == digest_trees(taken.directory)
    assert taken.directory == tmp_path / "two/layers" / layer.directory.name
    with overlayfs.opened([overlayfs.Layer(tmp_path / "low", is_whole=True), taken.layer], workspace, "seen") as seen:
        assert sorted(path.relative_to(seen).as_posix() for path in seen.rglob("*")) == [
            "also",
            "dir",
            "link",
            "program",
        ]
        assert "cap_net_raw=ep" in run(["getcap", seen / "program"]).stdout
        assert (seen / "also").stat().st_ino == (seen / "program").stat().st_ino


def test_the_same_layer_is_the_same_archive(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace
) -> None:
    send(bucket, layer, tmp_path, workspace)
    before = set(bucket.list_keys())
    (layer.directory / "tree/program").read_text()
    send(bucket, layer, tmp_path, workspace)
    assert set(bucket.list_keys()) == before


def test_who_only_reads_packs_nothing(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_layers, "run", None)
    send(bucket, layer, tmp_path, workspace, mode=CacheMode.RO)
    assert list(bucket.list_keys()) == []


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"origins": {"base": Inputs({"suite": "trixie"}, {})}}, "it was made from other inputs"),
        ({"below": ("base-trixie-arm64-0a",)}, "layers below: found none; expected base-trixie-arm64-0a"),
        ({"packages": frozenset({("sudo", "1.0")})}, "package sudo 1.0 is missing"),
    ],
)
def test_what_is_another_layer_is_not_taken(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, change: dict[str, Any], note: str
) -> None:
    send(bucket, layer, tmp_path, workspace)
    taken, notes = take(bucket, layer, tmp_path, workspace, replace(PLAIN, **change))
    assert taken is None
    assert any(note in text for text in notes), notes
    assert not (tmp_path / "two/layers" / layer.directory.name).exists()


def test_what_is_not_there_is_a_miss(bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace) -> None:
    assert take(bucket, layer, tmp_path, workspace)[0] is None


def test_where_overlayfs_is_missing_a_layer_on_another_is_of_no_use(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(bucket, layer, tmp_path, workspace)
    monkeypatch.setattr(shared_layers, "find_obstacle", lambda _: "not today")
    assert take(bucket, layer, tmp_path, workspace)[0] is None


@pytest.mark.slow
def test_a_machine_with_nothing_builds_from_anothers_layers(made: MadeRootfs, bucket: Bucket, tmp_path: Path) -> None:
    """The first has the packages alone, makes the layers and sends both; the second has neither.

    One of the packages is damaged, but not in its size: it is fetched again. All others are taken as they are, and
    the layers that come out are those of the first build of all, to the last byte and second.
    """

    def build(name: str, remote: Remote) -> tuple[StoredTree, list[str]]:
        heard = Heard()
        with log.use(heard), open_workspace(tmp_path / name, "board") as workspace:
            plan = plan_board(made.boards, "board")
            cache = tmp_path / name / "cache"
            return take_rootfs(plan, workspace, cache=cache, remote=remote), heard.kept

    run(["mkdir", "-p", tmp_path / "first/cache"])
    run(["cp", "--archive", made.state / "cache/store", tmp_path / "first/cache/store"])
    damaged, content = damage(Store(tmp_path / "first/cache/store"), "dash")
    with opened(bucket) as remote:
        first, notes = build("first", remote)
    assert any(f"{damaged} is damaged" in text for text in notes)
    counts = [match for text in notes if (match := re.match(r"(\d+) of (\d+) packages are in the cache", text))]
    assert [int(match[2]) - int(match[1]) for match in counts] == [1, 0]  # The damaged one is of the base.
    assert damaged.read_bytes() == content
    assert (first.digest, first.origins, first.below) == (made.kept.digest, made.kept.origins, made.kept.below)
    for name in first.below:
        ours, theirs = (find_stored_tree(state / "cache/layers" / name) for state in (tmp_path / "first", made.state))
        assert ours
        assert theirs
        assert ours.digest == theirs.digest
    with opened(bucket, CacheMode.RO) as remote:
        second, notes = build("second", remote)
    assert second.digest == first.digest
    assert not any(text.startswith(("base: ", "packages: ", "download ")) for text in notes)
    assert sum("cache hit" in text and text.startswith("layer ") for text in notes) == 2


def damage(store: Store, package: str) -> tuple[Path, bytes]:
    """Change the last byte of a package; return its file and what it held."""
    ref = next(ref for ref in store.refs() if ref.facts["name"] == package)
    path = next(entry.path for entry in store.entries() if entry.sha256 == ref.sha256)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return path, content
