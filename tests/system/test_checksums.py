# SPDX-License-Identifier: MIT
"""Digests of sparse files agree with sha256sum."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.system.checksums import hash_file, hash_stream, read_sums, render_sum, sha256_file
from builder.units import GIB, MIB
from tests.conftest import ROOT

PIECES = st.lists(st.tuples(st.integers(0, 3 * MIB), st.binary(min_size=1, max_size=5000)), max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES, size=st.integers(0, 3 * MIB))
def test_the_digest_is_that_of_all_bytes(tmp_path: Path, pieces: list[tuple[int, bytes]], size: int) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        for offset, content in pieces:
            stream.seek(offset)
            stream.write(content)
        stream.truncate(size)
    assert sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_sha256sum_agrees(tmp_path: Path) -> None:
    path = tmp_path / "card.img"
    with path.open("wb") as stream:
        stream.write(os.urandom(5 * MIB + 1))
        stream.truncate(40 * MIB)
    (tmp_path / "card.img.sha256").write_text(render_sum(sha256_file(path), path.name))
    subprocess.run(["sha256sum", "--check", "--strict", "card.img.sha256"], cwd=tmp_path, check=True)


def test_holes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "hole"
    path.touch()
    os.truncate(path, GIB)
    hashed, begun = sha256_file(path), time.monotonic()
    sha256_file(path)
    sparse_s = time.monotonic() - begun
    begun = time.monotonic()
    zeros = hashlib.sha256()
    for _ in range(1024):
        zeros.update(bytes(MIB))
    assert hashed == zeros.hexdigest()
    assert sparse_s < 3 * (time.monotonic() - begun) + 0.5


def test_a_file_that_shrinks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    monkeypatch.setattr("builder.system.checksums.find_extents", lambda descriptor, end: [(True, 0, end + 1)])
    with pytest.raises(OSError, match="became shorter"):
        sha256_file(path)


def test_sums_are_read_as_they_are_written() -> None:
    text = render_sum("ab" * 32, "a b.img") + render_sum("cd" * 32, "c")
    assert read_sums(text) == {"a b.img": "ab" * 32, "c": "cd" * 32}
    for wrong in ("ab  a", f"{'ab' * 32}  ../a", f"{'AB' * 32}  a", f"{'ab' * 32}"):
        with pytest.raises(ValueError, match="is not a line of sha256sum"):
            read_sums(f"{wrong}\n")


@pytest.mark.parametrize("size", [0, 1, 4096, MIB, MIB + 1])
def test_a_digest_is_that_of_hashlib(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    for name in ("md5", "sha256"):
        wanted = hashlib.new(name, path.read_bytes()).hexdigest()
        assert hash_file(path, name) == hash_file(str(path), name) == wanted
        with path.open("rb") as stream:
            stream.read(1)
            assert hash_stream(stream, name) == wanted


def test_files_are_hashed_in_one_place() -> None:
    """Of another algorithm is the signature, which hashes as minisign does."""
    hashing = {
        path.relative_to(ROOT / "builder").as_posix()
        for path in (ROOT / "builder").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and is_hashing(node)
    }
    assert hashing == {"signing/signature.py"}


def is_hashing(node: ast.Call) -> bool:
    """hashlib.file_digest, or hashlib.sha256 of what is read there."""
    name = ast.unparse(node.func)
    return name == "hashlib.file_digest" or (name.startswith("hashlib.") and "read_bytes(" in ast.unparse(node))
