# SPDX-License-Identifier: MIT
"""Small ext4 and FAT filesystems, and changes of what is in them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from builder.disk.region import Region


def make_ext4(source: Path, image: Path, *options: str) -> Region:
    """Make an ext4 without checksums, which who crafts one makes fit."""
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum", *options, "-d", str(source), str(image), "16M"]
    subprocess.run(words, check=True)
    return Region(image, 0)


def debug(place: Region, *commands: str) -> None:
    script = "".join(f"{command}\n" for command in commands)
    subprocess.run(["debugfs", "-w", "-f", "-", place.path], input=script.encode(), check=True, capture_output=True)


def change(place: Region, before: bytes, after: bytes) -> None:
    """Change bytes wherever they are."""
    content = place.path.read_bytes()
    assert before in content
    assert len(before) == len(after)
    place.path.write_bytes(content.replace(before, after))


def mtool(*words: str | Path) -> None:
    subprocess.run(words, check=True, env={**os.environ, "MTOOLSRC": "/dev/null", "TZ": "UTC"}, capture_output=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "source"
    (tree / "etc/deep").mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tree / "etc/aaaaaaaa").write_text("first\n")
    (tree / "etc/bbbbbbbb").write_text("second\n")
    (tree / "etc/zzzzzzzz").symlink_to(tmp_path / "victim")
    os.link(tree / "etc/passwd", tree / "hard")
    (tree / "etc/passwd").chmod(0o640)
    os.chown(tree / "etc/deep", 1000, 1001)
    (tmp_path / "victim").write_text("precious")
    return tree
