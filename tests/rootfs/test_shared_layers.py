# SPDX-License-Identifier: MIT
"""Layers that machines share by a bucket: taken where they are right, made where they are not."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder import log
from builder.cache.remote import Remote, open_remote
from builder.cache.store import Store
from builder.choices import CacheMode
from builder.errors import RecipeError
from builder.net.location import load_location
from builder.rootfs import overlayfs, shared_layers
from builder.rootfs.inputs import Inputs
from builder.rootfs.model import InstalledPackage
from builder.rootfs.shared_layers import KEY_VARIABLE, Foreseen, find_key, send_layer, take_layer
from builder.rootfs.stored_tree import StoredTree, digest_trees, find_stored_tree, write_stored_tree
from builder.system.process import run
from builder.system.workspace import Workspace, open_workspace
from builder.units import MIB
from tests.support.bucket import Bucket
from tests.support.log import Heard
from tests.support.rootfs_boards import plan_board
from tests.support.rootfs_system import MadeRootfs, take_rootfs

pytestmark = pytest.mark.machine


def opened(bucket: Bucket, mode: CacheMode = CacheMode.RW) -> AbstractContextManager[Remote]:
    place = load_location(bucket.location, mode)
    assert place
    return open_remote(place)


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


def send(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, mode: CacheMode = CacheMode.RW
) -> None:
    with opened(bucket, mode) as remote:
        send_layer(Store(tmp_path / "one/store", remote), layer, workspace)


PLAIN = Foreseen(origins={}, below=(), packages=frozenset(), own=frozenset())


def take(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, foreseen: Foreseen = PLAIN
) -> tuple[StoredTree | None, list[str]]:
    """Take the layer on another machine; return it and what was said."""
    story = Heard()
    with log.use(story), opened(bucket, CacheMode.RO) as remote:
        directory = tmp_path / "two/layers" / layer.directory.name
        return take_layer(Store(tmp_path / "two/store", remote), directory, workspace, foreseen), story.kept


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
    ("change", "said"),
    [
        ({"origins": {"base": Inputs({"suite": "trixie"}, {})}}, "it was made from other inputs"),
        ({"below": ("base-trixie-arm64-0a",)}, "layers below: found none; expected base-trixie-arm64-0a"),
        ({"packages": frozenset({("sudo", "1.0")})}, "package sudo 1.0 is missing"),
    ],
)
def test_what_is_another_layer_is_not_taken(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, change: dict[str, Any], said: str
) -> None:
    send(bucket, layer, tmp_path, workspace)
    taken, story = take(bucket, layer, tmp_path, workspace, replace(PLAIN, **change))
    assert taken is None
    assert any(said in text for text in story), story
    assert not (tmp_path / "two/layers" / layer.directory.name).exists()


SUDO = InstalledPackage("sudo", "1.0", "arm64", 7)
NANO = InstalledPackage("nano", "2.0", "arm64", 7)
WANTED = replace(PLAIN, packages=frozenset({("sudo", "1.0")}), own=frozenset({"sudo", "none"}))
STATUS = "Package: {0.name}\nStatus: {1}\nVersion: {0.version}\nArchitecture: arm64\nInstalled-Size: 7\n\n"


def make_layer(
    work: Path, *, recorded: Sequence[InstalledPackage] = (SUDO,), status: str = "install ok installed"
) -> StoredTree:
    """Make a layer with a program of a package, as dpkg knows it."""
    aside = work / "one/layers/base-trixie-arm64-0b"
    info, program = aside / "tree/var/lib/dpkg/info", aside / "tree/usr/bin/sudo"
    info.mkdir(parents=True)
    program.parent.mkdir(parents=True)
    program.write_text("Debian's\n")
    (info / "sudo.md5sums").write_text(f"{hashlib.md5(program.read_bytes()).hexdigest()}  bin/sudo\n")
    (info.parent / "status").write_text(STATUS.format(SUDO, status))
    return record(aside, recorded)


def record(aside: Path, packages: Sequence[InstalledPackage]) -> StoredTree:
    write_stored_tree(aside, is_whole=True, below=(), packages=packages, origins={})
    kept = find_stored_tree(aside)
    assert kept
    return kept


@pytest.mark.parametrize("spoil", ["", "change", "remove", "link"])
def test_files_of_packages_are_compared(bucket: Bucket, tmp_path: Path, workspace: Workspace, spoil: str) -> None:
    made = make_layer(tmp_path)
    program = made.directory / "tree/usr/bin/sudo"
    if spoil:
        program.unlink()
    if spoil == "change":
        program.write_text("not Debian's\n")
    elif spoil == "link":
        program.symlink_to("/bin/true")
    send(bucket, record(made.directory, [SUDO]), tmp_path, workspace)
    taken, story = take(bucket, made, tmp_path, workspace, WANTED)
    assert (taken is None) is bool(spoil)
    assert any("/usr/bin/sudo differs from package sudo" in text for text in story) is bool(spoil)


@pytest.mark.parametrize(
    ("recorded", "status", "others", "said"),
    [
        ([SUDO, NANO], "install ok installed", 0, "package nano 2.0 is not expected"),
        ([SUDO, NANO], "install ok installed", 1, "its record and dpkg's list have different packages"),
        ([SUDO], "deinstall ok config-files", 0, "its record and dpkg's list have different packages"),
        ([SUDO], "install ok half-installed", 0, "list of packages cannot be read: packages left half installed"),
        ([SUDO], "what is this", 0, "dpkg's list of packages cannot be read: dpkg-query"),
    ],
)
def test_a_layer_has_the_packages_that_are_foreseen_and_no_other(
    bucket: Bucket,
    tmp_path: Path,
    workspace: Workspace,
    recorded: Sequence[InstalledPackage],
    status: str,
    others: int,
    said: str,
) -> None:
    made = make_layer(tmp_path, recorded=recorded, status=status)
    send(bucket, made, tmp_path, workspace)
    taken, story = take(bucket, made, tmp_path, workspace, replace(WANTED, others=others))
    assert taken is None
    assert any(said in text for text in story), story


KEY = "a key of thirty-two bytes or more"


@pytest.mark.parametrize(
    ("sender", "taker", "is_taken"),
    [(KEY, KEY, True), ("", KEY, False), (KEY[::-1], KEY, False), (KEY, "", True), ("", "", True)],
)
def test_with_a_key_only_what_is_signed_is_taken(
    bucket: Bucket,
    layer: StoredTree,
    tmp_path: Path,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    sender: str,
    taker: str,
    is_taken: bool,
) -> None:
    def use(key: str) -> None:
        (tmp_path / "key").write_text(f"{key}\n")
        monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key") if key else "")

    use(sender)
    send(bucket, layer, tmp_path, workspace)
    use(taker)
    taken, story = take(bucket, layer, tmp_path, workspace)
    assert (taken is not None) is is_taken
    assert is_taken or any("is not signed with the key" in text for text in story)


def test_a_short_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("short\n")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))
    with pytest.raises(RecipeError, match="has 5 bytes; expected at least 32") as caught:
        find_key()
    assert "openssl rand" in caught.value.hint


def test_what_is_not_there_is_a_miss(bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace) -> None:
    assert take(bucket, layer, tmp_path, workspace)[0] is None


Spoil = Callable[[Path], None]


def _no_archive(archive: Path) -> None:
    archive.write_bytes(b"no archive\n")


def _other_content(archive: Path) -> None:
    """An archive that unpacks well, of a tree that is not what its record says."""
    inside = archive.parent / "inside"
    inside.mkdir()
    run(["tar", "--extract", "--zstd", f"--file={archive}", f"--directory={inside}"])
    (inside / "tree/program").write_text("#!/bin/sh\nrm -rf /\n")
    run(["tar", "--create", "--zstd", f"--file={archive}", f"--directory={inside}", "."])


def _send_spoilt(bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, spoil: Spoil) -> None:
    """Put something else where a layer is to be."""
    name = f"layer/{layer.directory.name}"
    send(bucket, layer, tmp_path, workspace)
    with opened(bucket) as remote:
        store = Store(tmp_path / "three", remote)
        ref = store.find_ref(name)
        assert ref
        assert store.place(ref.sha256, tmp_path / "archive")
        spoilt = shutil.copyfile(tmp_path / "archive", tmp_path / "spoilt")
        spoil(spoilt)
        store.set_ref(name, store.take(spoilt), {})


def _much_of_little(archive: Path) -> None:
    """An archive that fills a disk: a file of nothing but zeros."""
    inside = archive.parent / "inside"
    inside.mkdir()
    run(["tar", "--extract", "--zstd", f"--file={archive}", f"--directory={inside}"])
    (inside / "tree/zeros").write_bytes(bytes(20 * MIB))
    run(["tar", "--create", "--zstd", f"--file={archive}", f"--directory={inside}", "."])
    assert archive.stat().st_size < MIB


@pytest.mark.parametrize(("packed_bytes", "is_refused"), [(MIB // 2, True), (MIB, False)])
def test_what_unpacks_to_more_than_its_packages_is_not_taken(
    bucket: Bucket,
    layer: StoredTree,
    tmp_path: Path,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    packed_bytes: int,
    is_refused: bool,
) -> None:
    monkeypatch.setattr(shared_layers, "ROOM_BYTES", 2 * MIB)
    _send_spoilt(bucket, layer, tmp_path, workspace, _much_of_little)
    taken, said = take(bucket, layer, tmp_path, workspace, replace(PLAIN, packed_bytes=packed_bytes))
    assert taken is None, "it is another one than its record says, too"
    told = any("more than 12 MiB come, which is all that it can hold" in text for text in said)
    assert (told, not list(workspace.scratch.rglob("zeros"))) == (is_refused, is_refused)


@pytest.mark.parametrize("spoil", [_no_archive, _other_content])
def test_what_is_not_the_layer_is_not_taken(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, spoil: Spoil
) -> None:
    _send_spoilt(bucket, layer, tmp_path, workspace, spoil)
    taken, said = take(bucket, layer, tmp_path, workspace)
    assert taken is None
    assert any("cannot be unpacked" in text or "was changed" in text for text in said)
    assert not (tmp_path / "two/layers" / layer.directory.name).exists()


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
        story = Heard()
        with log.use(story), open_workspace(tmp_path / name, "board") as workspace:
            plan = plan_board(made.boards, "board")
            cache = tmp_path / name / "cache"
            return take_rootfs(plan, workspace, cache=cache, remote=remote), story.kept

    run(["mkdir", "-p", tmp_path / "first/cache"])
    run(["cp", "--archive", made.state / "cache/store", tmp_path / "first/cache/store"])
    damaged, content = damage(Store(tmp_path / "first/cache/store"), "dash")
    with opened(bucket) as remote:
        first, said = build("first", remote)
    assert any(f"{damaged} is damaged" in text for text in said)
    counts = [match for text in said if (match := re.match(r"(\d+) of (\d+) packages are in the cache", text))]
    assert [int(match[2]) - int(match[1]) for match in counts] == [1, 0]  # The damaged one is of the base.
    assert damaged.read_bytes() == content
    assert (first.digest, first.origins, first.below) == (made.kept.digest, made.kept.origins, made.kept.below)
    for name in first.below:
        ours, theirs = (find_stored_tree(state / "cache/layers" / name) for state in (tmp_path / "first", made.state))
        assert ours
        assert theirs
        assert ours.digest == theirs.digest
    with opened(bucket, CacheMode.RO) as remote:
        second, said = build("second", remote)
    assert second.digest == first.digest
    assert not any(text.startswith(("base: ", "packages: ", "download ")) for text in said)
    assert sum("cache hit" in text and text.startswith("layer ") for text in said) == 2


def damage(store: Store, package: str) -> tuple[Path, bytes]:
    """Change the last byte of a package; return its file and what it held."""
    ref = next(ref for ref in store.refs() if ref.facts["name"] == package)
    path = next(entry.path for entry in store.entries() if entry.sha256 == ref.sha256)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return path, content
