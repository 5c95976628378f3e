# SPDX-License-Identifier: MIT
"""Copy boot files out of an image, for machines whose firmware QEMU does not have.

Kernel and initrd are those that a Raspberry Pi's firmware would load: config.txt names them, cmdline.txt is the
command line. A used card must start too, so config.txt may have more lines than verify/facts/boot.py accepts, which
checks a new image. A virtual machine has no ROM that reads a card, so its U-Boot is copied too.

The copies get our own names in a separate directory, because file names come from the image. So no copy can replace
another file of the work directory: the disk that specs read later, the card, the ssh key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.disk.entry import LARGEST, Entry
from builder.errors import VerifyError
from builder.filesystems.fat32.read import read_fat
from builder.filesystems.table import DRIVERS
from builder.plan.model import Plan
from builder.text import find_hidden
from builder.units import render_size
from builder.verify.live.qemu.card import find_firmware, find_place

FILE = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
"""Allowed names of files in config.txt."""
BOOT = "/boot"
TAKEN = "taken"
"""Name of the directory of the copies, in the work directory."""
AGAIN = "build the image again"
TEXT_BYTES = 64 * 1024
LONGEST_CMDLINE = 4096
"""Characters; Linux takes 2048 to 4096 (COMMAND_LINE_SIZE)."""


@dataclass(frozen=True)
class BootFiles:
    """Files and command line that a boot loader passes on."""

    kernel: Path
    initrd: Path
    device_tree: Path | None
    cmdline: str


def take_boot_files(card: Path, plan: Plan, directory: Path) -> BootFiles:
    """Copy the files that the firmware would load from a card into a directory below `directory`.

    Raises VerifyError if one is missing or invalid.
    """
    mount = f"{BOOT}/firmware"
    entries = read_fat(find_place(card, find_firmware(plan)), mount)
    files = {entry.path.removeprefix(f"{mount}/").lower(): entry for entry in entries if entry.kind == "file"}
    config = _read(files, "config.txt", TEXT_BYTES).decode(errors="replace")
    cmdline = _read(files, "cmdline.txt", TEXT_BYTES).decode(errors="replace").strip()
    if len(cmdline) > LONGEST_CMDLINE or (hidden := find_hidden(cmdline)):
        fault = f"{len(cmdline)} characters" if len(cmdline) > LONGEST_CMDLINE else f"the character U+{ord(hidden):04X}"
        raise VerifyError(
            f"cmdline.txt of the image has {fault}; expected at most {LONGEST_CMDLINE} printable characters", hint=AGAIN
        )
    tree = plan.recipe.qemu.device_tree if plan.recipe.qemu else None
    return BootFiles(
        kernel=_take(files, _find(config, r"^kernel=(\S+)", "kernel="), directory, "kernel"),
        initrd=_take(files, _find(config, r"^initramfs[ =](\S+)", "initramfs"), directory, "initrd"),
        device_tree=_take(files, tree, directory, "device-tree") if tree else None,
        cmdline=cmdline,
    )


def take_root_file(card: Path, plan: Plan, path: str, directory: Path) -> Path:
    """Copy a file of a card's root filesystem in the same way; VerifyError if it is missing or too large."""
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    file = DRIVERS[root.filesystem].read_file(find_place(card, root), path, LARGEST)
    if not file or not file[0] or len(file[0]) == LARGEST:
        fault = f"more than {render_size(LARGEST)} at" if file and file[0] else "no"
        raise VerifyError(f"the root filesystem of the image has {fault} {path}", hint=AGAIN)
    return _write(directory, "loader", file[0])


def _find(config: str, pattern: str, what: str) -> str:
    """Return the file of the last matching line, because a later line of config.txt wins."""
    names = re.findall(pattern, config, re.MULTILINE)
    if not names:
        raise VerifyError(f"config.txt of the image has no line with {what}")
    if not FILE.fullmatch(names[-1]):
        raise VerifyError(f"config.txt of the image names the file {names[-1][:80]!r}; expected a relative path")
    return str(names[-1])


def _read(files: Mapping[str, Entry], name: str, most: int = LARGEST) -> bytes:
    """Return a file of the first partition; VerifyError if it is missing or has more than `most` bytes."""
    entry = files.get(name.lower())
    if entry is None:
        raise VerifyError(f"the first partition of the image has no {name}", hint=AGAIN)
    if entry.size_bytes > most:
        raise VerifyError(f"{name} of the image has {entry.size_bytes} bytes; expected at most {most}", hint=AGAIN)
    return entry.read()


def _take(files: Mapping[str, Entry], name: str, directory: Path, copy: str) -> Path:
    return _write(directory, copy, _read(files, name))


def _write(directory: Path, name: str, content: bytes) -> Path:
    copies = directory / TAKEN
    copies.mkdir(exist_ok=True)
    (copies / name).write_bytes(content)
    return copies / name
