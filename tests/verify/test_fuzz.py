# SPDX-License-Identifier: MIT
"""Mutated images are refused in words, soon and with little memory, and write nothing outside of their scratch."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.units import GIB, MIB
from tests.chain.selection import IS_WHOLE
from tests.conftest import ROOT
from tests.verify.fuzz import REGIONS

pytestmark = pytest.mark.machine

COUNT = 1000 if IS_WHOLE else 200
LONGEST_S = 60
MOST_KIB = GIB // 1024
STATUS = """\
Package: base-files
Status: install ok installed
Installed-Size: 350
Architecture: arm64
Version: 13.8
Maintainer: Anne <anne@example.org>
Depends: libc6 (>= 2.3)

Package: libc6
Status: install ok installed
Installed-Size: 12000
Architecture: arm64
Version: 2.41-12
Maintainer: Anne <anne@example.org>
"""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small disk with something of all that is read."""
    work = tmp_path_factory.mktemp("good")
    tree, image, boot = work / "tree", work / "card.img", work / "boot"
    info = tree / "var/lib/dpkg/info"
    for directory in ("etc/ssh/sshd_config.d", "usr/lib/boardwright", "usr/share/doc/base-files", "boot"):
        (tree / directory).mkdir(parents=True)
    info.mkdir(parents=True)
    release = "ID=debian\nIMAGE_VERSION=1.0\nBOARDWRIGHT_BOARD=rpi\n"
    (tree / "etc/os-release").write_text(release)
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nanne:x:1000:1000::/home/anne:/bin/sh\n")
    (tree / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    (tree / "etc/fstab").write_text("PARTUUID=12345678-02 / ext4 defaults 0 1\n")
    (tree / "etc/link").symlink_to("passwd")
    (tree / "etc/long").symlink_to("../" * 30 + "etc/passwd")
    (tree / "var/lib/dpkg/status").write_text(STATUS)
    (info / "base-files.list").write_text("/.\n/etc\n/etc/os-release\n")
    (info / "base-files.md5sums").write_text("d41d8cd98f00b204e9800998ecf8427e  etc/os-release\n")
    (tree / "usr/share/doc/base-files/copyright").write_text("Format: 1\nLicense: GPL-2+\n")
    (tree / "usr/lib/boardwright/delivered.json").write_text(
        '{"format": 1, "setid": {"/usr/bin/sudo": "4755 root:root"}}'
    )
    (tree / "large").write_bytes(os.urandom(2 * MIB))
    for number in range(300):
        (tree / "etc" / f"a rather long name of a file {number:04}").touch()
    (tree / "init").write_text("#!/bin/sh\n")
    cpio = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=b"init\n", check=True, stdout=-1)
    (tree / "boot/initrd.img-6.12").write_bytes(gzip.compress(cpio.stdout))
    boot.mkdir()
    for name, text in {
        "os-release": release,
        "config.txt": "kernel=vmlinuz\ninitramfs initrd\n",
        "cmdline.txt": "quiet",
    }.items():
        (boot / name).write_text(text)
    for name in ("vmlinuz", "initrd", "bcm2837-rpi-3-b.dtb"):
        (boot / name).write_bytes(bytes(range(256)) * 40)
    (boot / "overlays").mkdir()
    with image.open("wb") as stream:
        stream.truncate(100 * MIB)
    table = b"label: dos\nlabel-id: 0x12345678\nstart=2048, size=81920, type=c\nstart=83968, type=83\n"
    subprocess.run(["sfdisk", "-q", image], input=table, check=True)
    place = f"{image}@@{MIB}"
    environment = {**os.environ, "MTOOLSRC": "/dev/null"}
    subprocess.run(["mformat", "-i", place, "-F", "-T", "81920", "::"], check=True, env=environment)
    subprocess.run(["mcopy", "-s", "-i", place, *boot.iterdir(), "::/"], check=True, env=environment)
    options = ["-q", "-F", "-t", "ext4", "-O", "^metadata_csum", "-E", f"offset={41 * MIB}"]
    subprocess.run(["mke2fs", *options, "-d", tree, image, "58M"], check=True)
    return image


@dataclass(frozen=True)
class Tried:
    """What became of one image."""

    number: int
    region: str
    seconds: float
    kib: int
    said: list[str]


@pytest.fixture(scope="module")
def tried(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Tried]]:
    scratch = tmp_path_factory.mktemp("fuzz") / "scratch"
    scratch.mkdir()
    (scratch.parent / "victim").write_text("precious")
    words = [
        sys.executable,
        "-m",
        "tests.verify.fuzz",
        str(good),
        str(ROOT / "boards"),
        str(scratch),
        "4711",
        str(COUNT),
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=COUNT * 10, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    yield [Tried(**json.loads(line)) for line in done.stdout.splitlines()]
    assert sorted(path.name for path in scratch.parent.iterdir()) == ["scratch", "victim"]
    assert (scratch.parent / "victim").read_text() == "precious"


def test_each_region_had_its_turn(tried: list[Tried]) -> None:
    assert len(tried) == COUNT
    assert {each.region for each in tried} == set(REGIONS)
    assert len([each for each in tried if each.said]) > COUNT // 4, "most mutations matter"


def test_nothing_is_a_traceback(tried: list[Tried]) -> None:
    assert [each for each in tried if any("Traceback" in text for text in each.said)] == []


def test_none_takes_long(tried: list[Tried]) -> None:
    assert [each for each in tried if each.seconds > LONGEST_S] == []


def test_none_takes_much_memory(tried: list[Tried]) -> None:
    assert max(each.kib for each in tried) < MOST_KIB
