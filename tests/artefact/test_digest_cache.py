# SPDX-License-Identifier: MIT
"""A digest that is known holds until its file is touched."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from builder.artefact import digest_cache
from builder.artefact.digest_cache import FILE, Digests
from builder.system.checksums import sha256_file


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.img"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read."""
    seen: list[Path] = []
    real = sha256_file

    def hash_file(path: Path) -> str:
        seen.append(path)
        return real(path)

    monkeypatch.setattr(digest_cache, "sha256_file", hash_file)
    return seen


def test_a_file_is_hashed_once(file: Path, tmp_path: Path, hashed: list[Path]) -> None:
    for _ in range(3):
        assert Digests(tmp_path / "state").find(file) == digest(b"one")
    assert hashed == [file]


def test_what_arrives_is_not_hashed_again(file: Path, tmp_path: Path, hashed: list[Path]) -> None:
    Digests(tmp_path).note(file, "0" * 64)
    assert Digests(tmp_path).find(file) == "0" * 64
    assert hashed == []


def test_a_file_that_is_touched_is_hashed_again(file: Path, tmp_path: Path) -> None:
    Digests(tmp_path).find(file)
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Digests(tmp_path).find(file) == digest(b"two")


def test_a_file_in_its_place_is_hashed(file: Path, tmp_path: Path) -> None:
    Digests(tmp_path).find(file)
    (tmp_path / "y").write_bytes(b"two")
    (tmp_path / "y").replace(file)
    assert Digests(tmp_path).find(file) == digest(b"two")


def test_a_file_that_changes_while_it_is_hashed_is_not_known(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(path: Path) -> str:
        path.write_bytes(b"longer")
        return digest(b"one")

    with monkeypatch.context() as patch:
        patch.setattr(digest_cache, "sha256_file", change)
        Digests(tmp_path).find(file)
    assert Digests(tmp_path).find(file) == digest(b"longer")


@pytest.mark.parametrize("content", ["", "{", "[]", "5", '{"x": 5}', '{"x": [1]}'])
def test_a_damaged_memory_is_empty(file: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert Digests(tmp_path).find(file) == digest(b"one")
    assert str(file) in (tmp_path / FILE).read_text()


def test_files_that_are_gone_are_forgotten(file: Path, tmp_path: Path) -> None:
    known = Digests(tmp_path)
    known.find(file)
    (tmp_path / "other").touch()
    file.unlink()
    known.find(tmp_path / "other")
    assert str(file) not in (tmp_path / FILE).read_text()


def test_no_file_has_no_digest(tmp_path: Path) -> None:
    assert Digests(tmp_path).find(tmp_path / "absent") == ""
    assert Digests(tmp_path).find(tmp_path) == ""


def test_a_memory_that_cannot_be_written_is_done_without(file: Path) -> None:
    assert Digests(Path("/proc")).find(file) == digest(b"one")
