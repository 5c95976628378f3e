# SPDX-License-Identifier: MIT
"""What starts, taken out of an image, for machines whose own firmware QEMU does not have.

Kernel and initrd are what a Raspberry Pi's firmware would load: config.txt names them, cmdline.txt is the command line.
The card of a board that was in use starts too, so config.txt may have more lines here than verify/boot.py takes, which
judges an image as it was built. A virtual machine has no ROM that reads a card, so its U-Boot is taken out too.

The copies have names of ours in a directory of their own. An image says how its files are called, and what else lies in
the directory of work must not change: the disk that specs read afterwards, the card, the key of ssh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.disk.entry import LARGEST, Entry
from builder.disk.ext4 import read_ext4_file
from builder.disk.fat import read_fat
from builder.errors import VerifyError
from builder.plan.model import Plan
from builder.text import find_hidden
from builder.units import render_size
from builder.verify.live.qemu.card import find_firmware, find_place

FILE = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
"""A file that config.txt names."""
BOOT = "/boot"
TAKEN = "taken"
"""The directory of the copies, in that of the work."""
AGAIN = "build the image again"
TEXT_BYTES = 64 * 1024
LONGEST_CMDLINE = 4096
"""Characters; Linux takes 2048 to 4096 (COMMAND_LINE_SIZE)."""


@dataclass(frozen=True)
class BootFiles:
    """What a boot loader hands over."""

    kernel: Path
    initrd: Path
    device_tree: Path | None
    cmdline: str


def take_boot_files(card: Path, plan: Plan, directory: Path) -> BootFiles:
    """Copy the files of a card that its firmware would load into a directory of their own below `directory`.

    VerifyError when one is missing or cannot be one.
    """
    mount = f"{BOOT}/firmware"
    entries = read_fat(find_place(card, find_firmware(plan)), mount)
    files = {entry.path.removeprefix(f"{mount}/").lower(): entry for entry in entries if entry.kind == "file"}
    config = _read(files, "config.txt", TEXT_BYTES).decode(errors="replace")
    cmdline = _read(files, "cmdline.txt", TEXT_BYTES).decode(errors="replace").strip()
    if len(cmdline) > LONGEST_CMDLINE or (hidden := find_hidden(cmdline)):
        what = f"{len(cmdline)} characters" if len(cmdline) > LONGEST_CMDLINE else f"the character U+{ord(hidden):04X}"
        raise VerifyError(f"cmdline.txt of the image has {what}, which no kernel's command line has", hint=AGAIN)
    tree = plan.recipe.qemu.device_tree if plan.recipe.qemu else None
    return BootFiles(
        kernel=_take(files, _find(config, r"^kernel=(\S+)", "kernel="), directory, "kernel"),
        initrd=_take(files, _find(config, r"^initramfs[ =](\S+)", "initramfs"), directory, "initrd"),
        device_tree=_take(files, tree, directory, "device-tree") if tree else None,
        cmdline=cmdline,
    )


def take_root_file(card: Path, plan: Plan, path: str, directory: Path) -> Path:
    """Copy a file of a card's root filesystem, as above; VerifyError when it is missing."""
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    found = read_ext4_file(find_place(card, root), path, limit=LARGEST)
    if not found or not found[0] or len(found[0]) == LARGEST:
        what = f"more than {render_size(LARGEST)} at" if found and found[0] else "no"
        raise VerifyError(f"the root filesystem of the image has {what} {path}", hint=AGAIN)
    return _write(directory, "loader", found[0])


def _find(config: str, pattern: str, what: str) -> str:
    """Return the last one: a later line of config.txt wins."""
    found = re.findall(pattern, config, re.MULTILINE)
    if not found:
        raise VerifyError(f"config.txt of the image has no line with {what}")
    if not FILE.fullmatch(found[-1]):
        raise VerifyError(f"config.txt of the image names the file {found[-1][:80]!r}, which cannot be one")
    return str(found[-1])


def _read(files: Mapping[str, Entry], name: str, most: int = LARGEST) -> bytes:
    """Return a file of the first partition; VerifyError when it is missing, or has more than `most` bytes."""
    entry = files.get(name.lower())
    if entry is None:
        raise VerifyError(f"the first partition of the image has no {name}", hint=AGAIN)
    if entry.size_bytes > most:
        raise VerifyError(f"{name} of the image has {entry.size_bytes} bytes; allowed: {most}", hint=AGAIN)
    return entry.read()


def _take(files: Mapping[str, Entry], name: str, directory: Path, copy: str) -> Path:
    return _write(directory, copy, _read(files, name))


def _write(directory: Path, name: str, content: bytes) -> Path:
    place = directory / TAKEN
    place.mkdir(exist_ok=True)
    (place / name).write_bytes(content)
    return place / name
