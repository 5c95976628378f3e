# SPDX-License-Identifier: MIT
"""Mutated images are refused in words, soon and with little memory, and write nothing outside of their scratch."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.errors import MachineError, RecipeError, ReleaseError, ToolError, VerifyError
from builder.units import GIB, MIB
from tests.conftest import ROOT
from tests.support.fuzz import GPT, MBR, changed, choose, find_regions
from tests.support.selection import IS_WHOLE

pytestmark = pytest.mark.machine

SEED = 4711
COUNT = 1000 if IS_WHOLE else 209
"""Eleven of each region."""
COMMANDS = 200 if IS_WHOLE else 9
STEP = 1 if IS_WHOLE else 3
"""Regions between two images that commands are called with."""
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
    """A directory with a small disk that has something of all that is read, with an MBR and with a GPT."""
    return make_disks(tmp_path_factory.mktemp("good"))


def make_disks(work: Path) -> Path:
    tree, image, boot = work / "tree", work / MBR, work / "boot"
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
    for number in range(60):
        (tree / "etc" / f"a rather long name of a file {number:04}").touch()
    (tree / "init").write_text("#!/bin/sh\n")
    cpio = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=b"init\n", check=True, stdout=-1)
    (tree / "boot/initrd.img-6.12").write_bytes(cpio.stdout)
    (tree / "boot/initrd.img-6.13").write_bytes(gzip.compress(cpio.stdout))
    boot.mkdir()
    for each in (MBR, GPT):
        (work / each).parent.mkdir()
        (work / each).with_suffix(".packages").write_text("name\tversion\nbase-files\t13.8\nlibc6\t2.41-12\n")
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
    make_gpt(image, work / GPT)
    return work


def make_gpt(image: Path, copy: Path) -> None:
    """Copy a disk and give the copy a GPT."""
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    table = b"label: gpt\nstart=2048, size=81920, type=uefi\nstart=83968, size=118784, type=linux\n"
    subprocess.run(["sfdisk", "-q", "--wipe=never", copy], input=table, check=True)


@dataclass(frozen=True)
class Tried:
    """What became of one image, read in a process that reads all of them."""

    number: int
    region: str
    seconds: float
    kib: int
    messages: list[str]


@pytest.fixture(scope="module")
def tried(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Tried]]:
    scratch = tmp_path_factory.mktemp("fuzz") / "scratch"
    scratch.mkdir()
    (scratch.parent / "victim").write_text("precious")
    before = digest(good)
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.support.fuzz",
        good,
        ROOT / "boards",
        scratch,
        str(SEED),
        str(COUNT),
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=COUNT * 10, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    yield [Tried(**json.loads(line)) for line in done.stdout.splitlines()]
    assert sorted(path.name for path in scratch.parent.iterdir()) == ["scratch", "victim"]
    assert (scratch.parent / "victim").read_text() == "precious"
    assert digest(good) == before, "the images were given back as they were"


def digest(good: Path) -> list[bytes]:
    return [hashlib.sha256((good / name).read_bytes()).digest() for name in (MBR, GPT)]


def test_each_region_had_its_turn(good: Path, tried: list[Tried]) -> None:
    assert len(tried) == COUNT
    assert {each.region for each in tried} == set(find_regions(good))
    assert len([each for each in tried if each.messages]) > COUNT // 4, "most mutations matter"


def test_nothing_is_a_traceback(tried: list[Tried]) -> None:
    assert [each for each in tried if any("Traceback" in text for text in each.messages)] == []


def test_none_takes_long(tried: list[Tried]) -> None:
    assert [each for each in tried if each.seconds > LONGEST_S] == []


def test_none_takes_much_memory(tried: list[Tried]) -> None:
    assert max(each.kib for each in tried) < MOST_KIB


# As a user would call it

MEASURE = """\
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
sys.exit(code)
"""
"""Calls a program from a process that is small: a child is counted with the memory of what it was forked from."""


@dataclass(frozen=True)
class Place:
    """Directories of a user who verifies, boots and packages one image after another."""

    top: Path

    def call(self, verb: str, image: Path) -> Called:
        """Call a verb and return its output, and what it and all that it started took."""
        words: list[str | Path] = [sys.executable, "-m", "builder", verb, image, *VERBS[verb]]
        words += ["--boards", ROOT / "boards", "--state", self.top / "state"]
        words += [] if verb == "boot" else [OUTPUT[verb], self.top / "out"]
        with (self.top / "log").open("w+b") as log:
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", MEASURE, self.top / "usage", *words],
                cwd=self.top / "cwd",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            watch = threading.Timer(5 * LONGEST_S, os.killpg, [process.pid, signal.SIGKILL])
            watch.start()
            code = process.wait()
            watch.cancel()
            log.seek(0)
            text = log.read().decode(errors="replace")
        seconds, kib = json.loads((self.top / "usage").read_text())
        return Called(code, text, seconds, kib)

    @property
    def environment(self) -> dict[str, str]:
        """A QEMU that ends at once is the first in PATH: what is booted here is only read."""
        own = {"HOME": str(self.top / "home"), "TMPDIR": str(self.top / "tmp"), "PYTHONPATH": str(ROOT)}
        return {**os.environ, **own, "PATH": f"{self.top / 'bin'}:{os.environ['PATH']}", "NO_COLOR": "1"}

    def find_left(self) -> list[Path]:
        """Return what is where nothing may be."""
        return [*(self.top / "state").glob("*/*"), *(path for name in EMPTY for path in (self.top / name).iterdir())]


@dataclass(frozen=True)
class Called:
    """What a command came to."""

    code: int
    text: str
    seconds: float
    """Of processors: how busy this machine is with other tests counts for nothing."""
    kib: int


VERBS = {
    "verify": ["--engine", "local"],
    "boot": ["--engine", "local"],
    "package": ["--unverified", "--compress", "gz"],
}
OUTPUT = {"verify": "--report", "package": "--output"}
EMPTY = ("cwd", "home", "tmp")
CODES = {0, *(kind.exit_code for kind in (MachineError, RecipeError, ReleaseError, ToolError, VerifyError))}
QEMU = """#!/bin/sh
echo "raspi3b  the machine that is asked for"
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    top = tmp_path / "commands"
    top.mkdir()
    for name in ("bin", "out", *EMPTY):
        (top / name).mkdir()
    (top / "bin/qemu-system-aarch64").write_text(QEMU)
    (top / "bin/qemu-system-aarch64").chmod(0o755)
    return Place(top)


@pytest.mark.parametrize("number", range(COMMANDS))
def test_a_command_ends_in_words(number: int, good: Path, place: Place) -> None:
    """Each verb on every third image; each on all of them in a whole run."""
    regions = find_regions(good)
    with changed(choose(good, regions, number * STEP, random.Random(SEED + number))) as image:
        for verb in VERBS if IS_WHOLE else [list(VERBS)[number % len(VERBS)]]:
            done = place.call(verb, image)
            assert done.code in CODES, done.text
            assert "Traceback" not in done.text
            assert done.seconds < LONGEST_S
            assert done.kib < MOST_KIB
            assert place.find_left() == []
            assert all(path.name.startswith(image.stem) for path in (place.top / "out").iterdir())
            assert find_odd(place.top / "out") == []


def find_odd(reports: Path) -> list[str]:
    """Return what verdicts say that is an error of Python's and no sentence."""
    texts = [json.loads(path.read_text()) for path in reports.glob("*.specs.json")]
    messages = [verdict["message"] for report in texts for verdict in report["verdicts"]]
    return [text for text in messages if re.match(r"(?!builder\.)[\w.]*(Error|Exception)\b", text)]


def test_the_images_themselves_are_read(good: Path, place: Place) -> None:
    """What is changed is sound before."""
    assert place.call("boot", good / MBR).code == 0
    assert place.call("package", good / GPT).code == 0
    assert (place.top / "out/boardwright-rpi-1.0/boardwright-rpi-1.0.manifest.json").is_file()
