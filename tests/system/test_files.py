# SPDX-License-Identifier: MIT
"""Files that are no files, too large, or somewhere else: each ends at once, with a sentence."""

from __future__ import annotations

import ast
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.system.files import (
    InputError,
    load_json,
    open_unfinished,
    opened,
    read_bytes,
    read_text,
    write_new,
)
from builder.units import MIB

BUILDER = Path(__file__).parents[2] / "builder"


def make_link_out(path: Path) -> None:
    (path.parent.parent / "secret").write_text("password")
    path.symlink_to("../secret")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as each:
        each.bind(str(path))


def make_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


MADE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "found a pipe, which can be read only once; save it to a file first"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "found a device; expected a file"),
    "a directory": (Path.mkdir, "found a directory; expected a file"),
    "a socket": (make_socket, "found a socket; expected a file"),
    "a loop": (lambda path: path.symlink_to(path.name), "cannot be followed; expected a file or a link to one"),
    "nothing": (lambda _: None, "cannot be read: No such file or directory"),
    "too large": (make_large, "found more than 1 MiB, which is the most that is read"),
    "too large by a byte": (
        lambda path: path.write_bytes(bytes(MIB + 1)),
        "found more than 1 MiB, which is the most that is read",
    ),
    "no UTF-8": (lambda path: path.write_bytes(b"ab\xff"), "found the byte 0xff at 2, which is not UTF-8"),
}


@pytest.mark.parametrize("kind", MADE)
def test_what_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    make, problem = MADE[kind]
    path = tmp_path / "file"
    make(path)
    with pytest.raises(InputError) as caught:
        read_text(path, limit=MIB)
    assert (caught.value.problem, caught.value.message) == (problem, f"{path}: {problem}")
    assert isinstance(caught.value, RecipeError)
    assert caught.value.hint


@pytest.mark.parametrize(
    "make",
    [make_link_out, lambda path: path.symlink_to("/etc/passwd"), lambda path: path.symlink_to("way/../../secret")],
    ids=["relative", "absolute", "over a directory"],
)
def test_a_link_that_leads_out_is_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    directory = tmp_path / "board"
    (directory / "way").mkdir(parents=True)
    (tmp_path / "secret").write_text("password")
    make(directory / "file")
    with pytest.raises(InputError, match="found a link that leads out of"):
        read_bytes(directory / "file", within=directory)


def test_a_link_that_stays_inside_and_one_that_a_person_names_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_bytes(b"content")
    (tmp_path / "real/link").symlink_to("file")
    (tmp_path / "board").symlink_to("real")
    assert read_bytes(tmp_path / "board/link", within=tmp_path / "board") == b"content"
    assert read_bytes(tmp_path / "board/link") == b"content"


def test_a_file_without_a_size_is_read(tmp_path: Path) -> None:
    assert read_text(Path("/proc/self/status")).startswith("Name:")


def test_a_large_file_is_read_piece_by_piece(tmp_path: Path) -> None:
    make_large(tmp_path / "file")
    with opened(tmp_path / "file") as stream:
        stream.seek(2**39)
        assert stream.read(4) == bytes(4)


@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe", "directory"])
def test_a_download_is_not_written_through_what_stands_there(kind: str, tmp_path: Path) -> None:
    path, victim = tmp_path / ".file.partial", tmp_path / "victim"
    if "link" in kind:
        path.symlink_to(victim)
        victim.write_text("precious")
        if "nothing" in kind:
            victim.unlink()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(InputError, match=r"found a (link; remove it|pipe|directory)"):
        open_unfinished(path)
    assert not victim.exists() or victim.read_text() == "precious"


def test_a_download_goes_on_with_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "deep.partial"
    for _ in range(2):
        with open_unfinished(path) as stream:
            stream.write(b"piece ")
            assert stream.name == str(path)
    assert path.read_bytes() == b"piece piece "


def test_a_new_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    path, victim = tmp_path / "new", tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    write_new(path, b"new")
    assert (path.read_text(), path.is_symlink(), victim.read_text()) == ("new", False, "precious")


OURS = {
    "code and data of the program": (
        *("ci/install", "engine/docker/builder_image", "plan/cloud_config", "system/fingerprint", "recipe/check_users"),
        *("catalogue/make", "catalogue/imager", "catalogue/download_page", "rootfs/emulation"),
    ),
    "the state and the caches, which are as much ours as the program": (
        *("engine/dispatch", "net/download", "system/locks", "system/resources"),
        *(
            "cache/store",
            "verify/report",
            "verify/runner",
            "verify/task",
            "verify/verify",
            "verify/live/login",
            "verify/live/passwords",
        ),
    ),
    "a tree that is being made, by paths that were resolved inside it": (
        *(
            "rootfs/apt/archives",
            "rootfs/delivered",
            "rootfs/configure",
            "rootfs/layers",
        ),
        *("rootfs/apt/supply", "rootfs/twins", "image/blobs", "filesystems/ext4/make"),
    ),
    "an image and what is packed with it, piece by piece": (
        *(
            "engine/docker/pack",
            "engine/docker/put_image",
            "filesystems/fat32/make",
            "artefact/files",
            "packaging/bmap",
        ),
        *("release/bucket", "artefact/compress", "release/directory", "release/multipart"),
        *(
            "release/upload_body",
            "signing/signature",
            "disk/open_image",
            "verify/facts/blobs",
            "verify/live/containers",
        ),
        *(
            "filesystems/ext4/read",
            "disk/region",
            "verify/plugin",
            "verify/live/qemu/machine",
        ),
    ),
    "files of the kernel": ("doctor/machine", "engine/docker/named", "system/loop", "verify/live/qemu/confine"),
}


def find_reading(file: Path) -> bool:
    """Say whether a module opens files by itself, besides those of the kernel that it names."""
    return any(map(is_reading, ast.walk(ast.parse(file.read_text(encoding="utf-8")))))


def is_reading(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    if ast.unparse(node.func.value).startswith(("Path('/proc", "Path('/sys")):
        return False
    modes = [each.value for each in node.args if isinstance(each, ast.Constant)]
    return node.func.attr in ("read_bytes", "read_text") or (node.func.attr == "open" and modes[:1] == ["rb"])


PARSING = {
    "system/files": "the place where it is done",
    "plan/cloud_config": "data of the program",
    "catalogue/imager": "data of the program",
    "verify/report": "what our own process of specs has written",
    "verify/live/containers": "in the process of specs, where whatever is raised is a red spec",
    "disk/partitions": "likewise",
    "verify/live/system": "likewise",
}
"""Modules that read JSON by themselves, and why they may."""


def test_json_is_read_in_one_place() -> None:
    """json.loads lets pass NaN and what is nested deep, which later is a traceback."""
    found = {
        path.relative_to(BUILDER).with_suffix("").as_posix()
        for path in BUILDER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("json.load", "json.loads", "json.JSONDecoder")
    }
    assert found == set(PARSING)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested deeper than 64 times"),
        ("[" * 65 + "]" * 65, "nested deeper than 64 times"),
        ('{"a":' * 65 + "1" + "}" * 65, "nested deeper than 64 times"),
        ("NaN", "NaN is not a JSON number"),
        ("[-Infinity]", "-Infinity is not a JSON number"),
        ("1e999", "1e999 is not a JSON number"),
        ("9" * 5000, "digits"),
        ("", "Expecting value"),
        (b"\xff", "decode"),
    ],
    ids=lambda each: repr(each[:12]),
)
def test_json_that_has_no_end_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        load_json(text)


@pytest.mark.parametrize(
    "value", [None, 1, -1.5, 10**400, "\ud800\x00", [[{"a": [1e308]}]], json.loads("[" * 63 + "]" * 63)]
)
def test_json_is_read(value: object) -> None:
    assert load_json(json.dumps(value)) == value
    assert load_json(json.dumps(value).encode()) == value


def test_only_these_modules_open_files_by_themselves() -> None:
    """All others take what they read from builder.system.files."""
    reading = {
        path.relative_to(BUILDER).with_suffix("").as_posix() for path in BUILDER.rglob("*.py") if find_reading(path)
    }
    assert reading == {module for modules in OURS.values() for module in modules}


def test_a_file_that_was_finished_meanwhile_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process renames it between the look at it and its opening."""
    path = tmp_path / "x.partial"
    path.write_bytes(b"whole")
    stat = Path.stat

    def vanish(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self == path and follow_symlinks:
            self.unlink(missing_ok=True)
        return stat(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", vanish)
    monkeypatch.setattr(Path, "exists", lambda self: True)
    with open_unfinished(path) as stream:
        assert stream.read() == b""
