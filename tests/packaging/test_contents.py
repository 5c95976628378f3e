# SPDX-License-Identifier: MIT
"""What is read of an image for its package."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builder.errors import VerifyError
from builder.packaging.contents import read_contents
from builder.units import MIB
from tests.support.small_image import MAWK, STATUS, make_small_image

pytestmark = pytest.mark.machine


def test_dpkg_copyrights_and_room_are_read(tmp_path: Path) -> None:
    found = read_contents(make_small_image(tmp_path))
    assert found.status == STATUS
    assert found.copyrights == {"mawk": MAWK, "libc6": "Free.\n", "base-files": MAWK}, "links are followed"
    fat, root = found.areas
    assert (fat.filesystem, root.filesystem) == ("fat32", "ext4")
    assert root.size_bytes == 12 * MIB
    assert 3 * MIB < root.size_bytes - root.free_bytes < 8 * MIB
    assert all(start < end for start, end in found.unused)
    assert fat.free_bytes == sum(end - start for start, end in found.unused if end <= 35 * MIB)


def test_a_disk_without_a_system_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.img"
    with path.open("wb") as stream:
        stream.truncate(4 * MIB)
    subprocess.run(["sfdisk", "-q", path], input=b"label: dos\nstart=2048, type=83\n", check=True)
    with pytest.raises(VerifyError, match=r"empty\.img has no filesystem with /var/lib/dpkg/status"):
        read_contents(path)
