# SPDX-License-Identifier: MIT
"""Changes bytes of images, each kind of structure in turn, and reads them as `verify`, `boot` and `package` do.

    python -m tests.support.fuzz DIRECTORY BOARDS SCRATCH SEED COUNT

DIRECTORY has the same disk with an MBR and with a GPT, which are changed in place and given back. The same seed makes
the same changes. A line of JSON tells what became of each image. A process of its own, so that what an image does to it
can be seen from outside.
"""

from __future__ import annotations

import json
import random
import re
import resource
import shutil
import struct
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.disk.entry import Entry
from builder.disk.region import Region
from builder.disk.unpack import unpack
from builder.errors import BoardwrightError
from builder.filesystems.ext4.read import read_ext4
from builder.filesystems.fat32.read import read_fat
from builder.packaging.contents import read_contents
from builder.packaging.installed import read_installed
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.units import GIB, MIB, SECTOR
from builder.verify.facts.image import ImageFacts
from builder.verify.live.qemu.kernel import take_boot_files
from builder.verify.verify import read_claim

BOOT, ROOT = MIB, 41 * MIB
"""Where the filesystems of the images begin."""
GPT_ENTRIES = 1024
MBR, GPT = "mbr/boardwright-rpi-1.0.img", "gpt/boardwright-rpi-1.0.img"
FILES = {
    "cpio": "/boot/initrd.img-6.12",
    "compressed initrd": "/boot/initrd.img-6.13",
    "dpkg status": "/var/lib/dpkg/status",
    "dpkg lists": "/var/lib/dpkg/info/base-files.md5sums",
    "facts of the build": "/usr/lib/boardwright/delivered.json",
    "os-release of the system": "/etc/os-release",
    "accounts": "/etc/passwd",
}
VALUES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
NUMBERS = (0, 1, 2, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

Range = tuple[int, int]
"""Where a structure begins in the image, and its bytes."""


@dataclass(frozen=True)
class Change:
    """What is changed of an image."""

    region: str
    image: Path
    start: int
    content: bytes
    """What lies at the start instead."""


def find_regions(good: Path) -> Mapping[str, Sequence[Range]]:
    """Return where each kind of structure is; what is named GPT is in the disk with one."""
    image = good / MBR
    ext4, fat = Region(image, ROOT), Region(image, BOOT)
    entries = {entry.path: entry for entry in read_ext4(ext4)}
    files = {entry.path: entry for entry in read_fat(fat, "/")}
    inodes = list(find_inodes(ext4, [entry.inode for entry in entries.values()]))
    reserved = struct.unpack("<H", fat.read(14, 2))[0] * SECTOR
    tables = struct.unpack("<I", fat.read(36, 4))[0] * SECTOR
    return {
        "MBR": [(0, SECTOR)],
        "GPT header": [(SECTOR, 92)],
        "GPT entries": [(GPT_ENTRIES, 2 * 128)],
        "FAT boot sector": [(BOOT, SECTOR)],
        "FAT chains": [(BOOT + reserved, 2048)],
        "FAT directories": [(BOOT + reserved + 2 * tables, 8192)],
        "FAT files": [range_of(files[name]) for name in ("/os-release", "/config.txt", "/cmdline.txt")],
        "ext4 superblock": [(ROOT + 1024, 1024)],
        "ext4 group descriptors": [(ROOT + find_descriptors(ext4), 8 * 64)],
        "ext4 inodes": inodes,
        "ext4 extents": [(start + 40, 60) for start, _ in inodes],
        "ext4 directories": [range_of(entry) for entry in entries.values() if entry.kind == "directory"],
        **{name: [range_of(entries[path])] for name, path in FILES.items()},
    }


def range_of(entry: Entry) -> Range:
    return entry.pieces[0].offset_bytes, min(entry.pieces[0].size_bytes, entry.size_bytes)


def find_descriptors(ext4: Region) -> int:
    block: int = 1024 << struct.unpack("<I", ext4.read(1048, 4))[0]
    return 2048 if block == 1024 else block


def find_inodes(ext4: Region, numbers: Sequence[int]) -> Iterator[Range]:
    """Yield where inodes of the first group are."""
    block = 1024 << struct.unpack("<I", ext4.read(1048, 4))[0]
    per_group, size = struct.unpack("<I", ext4.read(1064, 4))[0], struct.unpack("<H", ext4.read(1112, 2))[0]
    table = struct.unpack("<I", ext4.read(find_descriptors(ext4) + 8, 4))[0] * block
    for number in sorted(set(numbers)):
        if number <= per_group:
            yield ROOT + table + (number - 1) * size, size


def choose(good: Path, regions: Mapping[str, Sequence[Range]], number: int, chance: random.Random) -> Change:
    """Return the change of that number; regions take turns."""
    name = list(regions)[number % len(regions)]
    start, size = chance.choice(regions[name])
    image = good / (GPT if name.startswith("GPT") else MBR)
    content = bytearray(read(image, start, size))
    for _ in range(chance.choice((1, 2, 4, 16, 64))):
        chance.choice(WAYS)(content, chance)
    return Change(name, image, start, bytes(content))


def set_byte(content: bytearray, chance: random.Random) -> None:
    used = [place for place, value in enumerate(content) if value] or [0]
    place = chance.choice(used) if chance.random() < 0.8 else chance.randrange(len(content))
    content[place] = chance.choice(VALUES) if chance.random() < 0.5 else chance.randrange(256)


def set_number(content: bytearray, chance: random.Random) -> None:
    if len(content) >= 4:
        struct.pack_into("<I", content, chance.randrange(len(content) - 3) & ~3, chance.choice(NUMBERS))


def copy_part(content: bytearray, chance: random.Random) -> None:
    size = min(chance.choice((4, 12, 32, 128)), len(content))
    source, target = (chance.randrange(len(content) - size + 1) for _ in range(2))
    content[target : target + size] = content[source : source + size]


def clear_part(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    end = min(start + chance.choice((4, 16, 64)), len(content))
    content[start:end] = bytes(end - start)


WAYS = (set_byte, set_byte, set_byte, set_number, set_number, copy_part, clear_part)


@contextmanager
def changed(change: Change, *, seal: bool = True) -> Iterator[Path]:
    """Yield the image with a change in it, and give it back. `seal` makes checksums of a GPT right again."""
    before = read(change.image, 0, GPT_ENTRIES + 128 * 128), read(change.image, change.start, len(change.content))
    write(change.image, change.start, change.content)
    if seal and change.region.startswith("GPT"):
        seal_gpt(change.image)
    try:
        yield change.image
    finally:
        write(change.image, 0, before[0])
        write(change.image, change.start, before[1])


def seal_gpt(image: Path) -> None:
    entries = read(image, GPT_ENTRIES, 128 * 128)
    header = bytearray(read(image, SECTOR, 92))
    struct.pack_into("<I", header, 88, zlib.crc32(entries))
    struct.pack_into("<I", header, 16, 0)
    struct.pack_into("<I", header, 16, zlib.crc32(header))
    write(image, SECTOR, bytes(header))


def read(image: Path, start: int, size: int) -> bytes:
    return Region(image, 0).read(start, size)


def write(image: Path, start: int, content: bytes) -> None:
    with image.open("r+b") as stream:
        stream.seek(start)
        stream.write(content)


def read_all(image: Path, plan: Plan, scratch: Path) -> Iterator[Callable[[], object]]:
    """Yield all that is done with an image before a program of it runs."""
    subject = ImageFacts(image, plan, scratch)
    yield lambda: read_claim(image)
    yield lambda: (subject.table, subject.table_check, [subject.filesystem(slot) for slot in plan.disk.slots])
    yield lambda: [file.content for path in FILES.values() if (file := subject.file(path)).is_file]
    yield lambda: subject.users
    yield lambda: (subject.packages, subject.listed_files, subject.changed_files, subject.fstab, subject.os_release)
    yield lambda: [
        subject.rights.find_unasked(kind) for kind in ("setid", "writable", "owners", "links", "access", "mounts")
    ]
    yield lambda: subject.boot_entry
    yield lambda: subject.initrds
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    yield lambda: unpack(read_ext4(subject.place(root)), scratch / "tree")
    yield lambda: read_installed((contents := read_contents(image)).status, contents.copyrights, {})
    yield lambda: take_boot_files(image, plan, scratch)


def try_image(image: Path, plan: Plan, scratch: Path) -> list[str]:
    """Return the messages about an image: sentences, or the traceback of what should not be."""
    messages = []
    for act in read_all(image, plan, scratch):
        (scratch / "tree").mkdir(exist_ok=True)
        try:
            act()
        except (BoardwrightError, AssertionError) as error:
            messages.append(f"{type(error).__name__}: {error}")
        except Exception:
            messages.append(traceback.format_exc())
        shutil.rmtree(scratch / "tree", ignore_errors=True)
    return messages


def find_own_peak() -> int:
    """Return the most memory that this process had, in KiB. getrusage counts what it was forked from, too."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def main(good: Path, boards: Path, scratch: Path, seed: int, count: int) -> None:
    """Print a line of JSON for each image."""
    resource.setrlimit(resource.RLIMIT_AS, (3 * GIB, 3 * GIB))
    plan = make_plan(load_board(boards, "rpi"), version="1.0", epoch=1_700_000_000)
    chance, regions, work = random.Random(seed), find_regions(good), scratch / "work"
    for number in range(count):
        change = choose(good, regions, number, chance)
        work.mkdir()
        with changed(change, seal=chance.random() < 0.8) as image:
            begun = time.monotonic()
            messages = try_image(image, plan, work)
            seconds = time.monotonic() - begun
        shutil.rmtree(work)
        peak = max(find_own_peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        line = {"number": number, "region": change.region, "seconds": seconds, "kib": peak, "messages": messages}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
