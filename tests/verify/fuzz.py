# SPDX-License-Identifier: MIT
"""Makes mutated images and reads each as `verify`, `boot` and `package` do; tells what became of it, a line each.

    python -m tests.verify.fuzz GOOD BOARDS SCRATCH SEED COUNT

The same seed makes the same images. A process of its own, so that what an image does to it can be seen from outside.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from builder.errors import BoardwrightError
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.release.dpkg import read_installed
from builder.units import GIB, MIB
from builder.verify.check import read_claim
from builder.verify.contents import read_contents
from builder.verify.ext4 import read_ext4
from builder.verify.initrd import read_initrd
from builder.verify.qemu.kernel import take_boot_files
from builder.verify.subject import Subject
from builder.verify.unpack import unpack

BOOT, ROOT = MIB, 41 * MIB
REGIONS = {
    "table": (0, 512),
    "FAT's boot sector": (BOOT, 512),
    "FAT": (BOOT + 32 * 512, 4096),
    "FAT's directories": (BOOT + 32 * 512 + 2 * 630 * 512, 16384),
    "superblock": (ROOT + 1024, 1024),
    "groups": (ROOT + 4096, 4096),
    "inodes and directories": (ROOT + 4096, 3 * MIB),
}
VALUES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


def mutate(image: Path, chance: random.Random) -> str:
    """Change some bytes of an image and return where."""
    name = chance.choice(sorted(REGIONS))
    start, size = REGIONS[name]
    with image.open("r+b") as stream:
        content = bytearray(_read(stream, start, size))
        used = [place for place, value in enumerate(content) if value] or [0]
        for _ in range(chance.choice((1, 2, 4, 16, 64))):
            place = chance.choice(used) if chance.random() < 0.8 else chance.randrange(size)
            content[place] = chance.choice(VALUES) if chance.random() < 0.5 else chance.randrange(256)
        stream.seek(start)
        stream.write(content)
    return name


def _read(stream: object, start: int, size: int) -> bytes:
    stream.seek(start)  # type: ignore[attr-defined]
    return bytes(stream.read(size))  # type: ignore[attr-defined]


def read_all(image: Path, boards: Path, scratch: Path) -> Iterator[Callable[[], object]]:
    """Yield all that is done with an image before a program of it runs."""
    plan = make_plan(load_board(boards, "rpi"), version="1.0", epoch=1_700_000_000)
    subject = Subject(image, plan, scratch)
    yield lambda: read_claim(image)
    yield lambda: [file.content for path in ("/etc/passwd", "/etc/shadow") if (file := subject.file(path)).is_file]
    yield lambda: (subject.users, subject.packages, subject.listed_files, subject.changed_files, subject.fstab)
    yield lambda: subject.rights.find_unasked("setid")
    yield lambda: read_initrd(subject.file("/boot/initrd.img-6.12").content)
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    yield lambda: unpack(read_ext4(subject.place(root)), scratch / "tree")
    yield lambda: read_installed((contents := read_contents(image)).status, contents.copyrights, {})
    yield lambda: take_boot_files(image, plan, scratch)


def try_image(image: Path, boards: Path, scratch: Path) -> list[str]:
    """Return what was said of an image: sentences, or the traceback of what should not be."""
    said = []
    for act in read_all(image, boards, scratch):
        (scratch / "tree").mkdir(exist_ok=True)
        try:
            act()
        except (BoardwrightError, AssertionError) as error:
            said.append(f"{type(error).__name__}: {error}")
        except Exception:
            said.append(traceback.format_exc())
        shutil.rmtree(scratch / "tree", ignore_errors=True)
    return said


def main(good: Path, boards: Path, scratch: Path, seed: int, count: int) -> None:
    """Print a line of JSON for each image."""
    resource.setrlimit(resource.RLIMIT_AS, (3 * GIB, 3 * GIB))
    chance = random.Random(seed)
    for number in range(count):
        image, work = scratch / "disk.img", scratch / "work"
        shutil.copyfile(good, image)
        region = mutate(image, chance)
        work.mkdir()
        begun = time.monotonic()
        said = try_image(image, boards, work)
        seconds = time.monotonic() - begun
        shutil.rmtree(work)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        line = {"number": number, "region": region, "seconds": seconds, "kib": peak, "said": said}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
