# SPDX-License-Identifier: MIT
"""What mmdebstrap's apt is given of an index: all that it says of the packages that are chosen, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from builder.rootfs.apt.archives import _shorten

OLD = b"Package: tool\nVersion: 1\nDescription: a\n .\n Package: other\nSHA256: 1\n"
NEW = b"Package: tool\nVersion: 2\nSHA256: 2\n"
OTHER = b"Package: tools\nVersion: 1\nSHA256: 3\n"
BASE = b"package:\tbase\nVersion: 1\nSHA256: 4\n"
LATE = b"Version: 1\nPackage: late\nSHA256: 5\n"


def shorten(tmp_path: Path, content: bytes) -> bytes:
    (tmp_path / "kept").write_bytes(content)
    os.link(tmp_path / "kept", tmp_path / "given")
    _shorten(tmp_path / "given", {"tool", "base", "late"})
    assert (tmp_path / "kept").read_bytes() == content
    return (tmp_path / "given").read_bytes()


def test_all_versions_stay_in_the_order_of_the_index(tmp_path: Path) -> None:
    whole = b"\n".join((NEW, OTHER, BASE, OLD, LATE))
    assert shorten(tmp_path, whole) == b"\n".join((NEW, BASE, OLD, LATE)) + b"\n"


def test_it_may_end_anyhow_and_be_divided_by_more_than_one_line(tmp_path: Path) -> None:
    whole = NEW + b"\n\n \n" + OTHER + b"\t\n" + BASE + b"\n\r\n" + OLD.rstrip(b"\n")
    assert shorten(tmp_path, whole) == b"\n".join((NEW, BASE, OLD)) + b"\n"


def test_nothing_is_left_of_an_index_without_them(tmp_path: Path) -> None:
    assert shorten(tmp_path, OTHER) == b""
    (tmp_path / "given").unlink()
    assert shorten(tmp_path, b"") == b""
