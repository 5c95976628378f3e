# SPDX-License-Identifier: MIT
"""The packages of a rootfs, shared by machines: one downloads, the others take them by the digest of the index."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

import pytest

from builder import log
from builder.cache.remote import open_remote
from builder.cache.store import Store
from builder.choices import CacheMode
from builder.net.location import load_location
from builder.rootfs.apt.archives import place_debs
from builder.rootfs.apt.supply import Archived
from tests.support.archive import ARCHITECTURE, build_deb
from tests.support.bucket import Bucket

pytestmark = pytest.mark.machine


@pytest.fixture
def packages(tmp_path: Path) -> list[Archived]:
    """What an index says of five packages, which are in the directory `debs`."""
    found = []
    for number in range(5):
        deb = build_deb(tmp_path / "debs", f"tool{number}", "1.0", files={"/usr/share/tool": f"{number}\n"})
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        found.append(Archived(f"tool{number}", "1.0", ARCHITECTURE, deb.name, deb.stat().st_size, digest))
    return found


def test_another_machine_downloads_nothing(bucket: Bucket, packages: list[Archived], tmp_path: Path) -> None:
    place = load_location(bucket.location, CacheMode.RW)
    assert place
    with open_remote(place) as remote:
        one = Store(tmp_path / "one", remote)
        for package in packages:
            copy = shutil.copyfile(tmp_path / "debs" / package.file, tmp_path / "copy")
            one.set_ref(f"deb/{package.file}", one.add(copy, package.sha256), {})
    output = io.StringIO()
    with log.use(log.Plain(output)), open_remote(place) as remote:
        two = Store(tmp_path / "two", remote)
        missing = place_debs(packages[:-1], two, tmp_path / "placed")
    assert missing == []
    assert "4 of 4 packages are in the cache; 0 B to download" in output.getvalue()
    assert "shared cache: took 4 objects" in output.getvalue()
    for package in packages[:-1]:
        assert (tmp_path / "placed" / package.file).read_bytes() == (tmp_path / "debs" / package.file).read_bytes()
    assert bucket.door.count("HEAD") <= 5 + 4
    assert sum(key.startswith("ci/refs/deb%2Ftool") for key in bucket.list_keys()) == 5
