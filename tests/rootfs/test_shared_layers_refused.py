# SPDX-License-Identifier: MIT
"""Layers of a bucket that are not taken: of other packages, signed by no key, damaged, too large."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from builder.cache.store import Store
from builder.errors import RecipeError
from builder.rootfs import shared_layers
from builder.rootfs.model import InstalledPackage
from builder.rootfs.shared_layers import KEY_VARIABLE, find_key
from builder.rootfs.stored_tree import StoredTree, find_stored_tree, write_stored_tree
from builder.system.process import run
from builder.system.workspace import Workspace
from builder.units import MIB
from tests.support.bucket import Bucket
from tests.support.layers import PLAIN, opened, send, take

pytestmark = pytest.mark.machine

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
    taken, notes = take(bucket, made, tmp_path, workspace, WANTED)
    assert (taken is None) is bool(spoil)
    assert any("/usr/bin/sudo differs from package sudo" in text for text in notes) is bool(spoil)


@pytest.mark.parametrize(
    ("recorded", "status", "others", "note"),
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
    note: str,
) -> None:
    made = make_layer(tmp_path, recorded=recorded, status=status)
    send(bucket, made, tmp_path, workspace)
    taken, notes = take(bucket, made, tmp_path, workspace, replace(WANTED, others=others))
    assert taken is None
    assert any(note in text for text in notes), notes


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
    taken, notes = take(bucket, layer, tmp_path, workspace)
    assert (taken is not None) is is_taken
    assert is_taken or any("is not signed with the key" in text for text in notes)


def test_a_short_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("short\n")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))
    with pytest.raises(RecipeError, match="has 5 bytes; expected at least 32") as caught:
        find_key()
    assert "openssl rand" in caught.value.hint


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
        assert store.link(ref.sha256, tmp_path / "archive")
        spoilt = shutil.copyfile(tmp_path / "archive", tmp_path / "spoilt")
        spoil(spoilt)
        store.set_ref(name, store.add(spoilt), {})


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
    taken, notes = take(bucket, layer, tmp_path, workspace, replace(PLAIN, packed_bytes=packed_bytes))
    assert taken is None, "it is another one than its record says, too"
    is_noted = any("more than 12 MiB come, which is all that it can hold" in text for text in notes)
    assert (is_noted, not list(workspace.scratch.rglob("zeros"))) == (is_refused, is_refused)


@pytest.mark.parametrize("spoil", [_no_archive, _other_content])
def test_what_is_not_the_layer_is_not_taken(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, spoil: Spoil
) -> None:
    _send_spoilt(bucket, layer, tmp_path, workspace, spoil)
    taken, notes = take(bucket, layer, tmp_path, workspace)
    assert taken is None
    assert any("cannot be unpacked" in text or "was changed" in text for text in notes)
    assert not (tmp_path / "two/layers" / layer.directory.name).exists()
