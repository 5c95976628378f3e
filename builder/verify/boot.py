# SPDX-License-Identifier: MIT
"""What a board's boot loader will do: kernel, initrd and command line by each boot method's own files.

A new boot method is a function and a row in READERS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from builder.verify.tree import Tree

TURN = re.compile("[0-9]{1,3}")


@dataclass(frozen=True)
class BootEntry:
    """What is started; paths are the system's."""

    kernel: str
    initrd: str
    cmdline: tuple[str, ...]


@dataclass(frozen=True)
class Mount:
    """A line of fstab."""

    source: str
    kind: str
    options: str
    turn: int
    """When fsck checks it: 1 first, 2 later, 0 never."""


def read_boot_entry(tree: Tree, method: str, mount: str) -> BootEntry:
    """Return what a boot loader reads from the boot partition at `mount`."""
    return READERS[method](tree, mount)


def _read_raspi(tree: Tree, mount: str) -> BootEntry:
    config = tree.file(f"{mount}/config.txt").content_string
    kernel = re.findall(r"^kernel=(\S+)", config, re.MULTILINE)
    initrd = re.findall(r"^initramfs (\S+)", config, re.MULTILINE)
    words = tree.file(f"{mount}/cmdline.txt").content_string.split()
    # Of two lines the firmware heeds the last.
    return BootEntry(f"{mount}/{(kernel or ['?'])[-1]}", f"{mount}/{(initrd or ['?'])[-1]}", tuple(words))


def _read_efi(tree: Tree, mount: str) -> BootEntry:
    entries = tree.glob(f"{mount}/loader/entries/*.conf")
    text = entries[0].read().decode(errors="replace") if entries else ""
    rows = dict(re.findall(r"^(linux|initrd|options) +(.*)$", text, re.MULTILINE))
    words = rows.get("options", "").split()
    return BootEntry(mount + rows.get("linux", "/?"), mount + rows.get("initrd", "/?"), tuple(words))


def _read_extlinux(tree: Tree, mount: str) -> BootEntry:
    file = next((f for f in (f"{mount}/extlinux/extlinux.conf", "/boot/extlinux/extlinux.conf") if tree.find(f)), "")
    text = tree.file(file).content_string
    rows = dict(reversed(re.findall(r"^\s*(linux|kernel|initrd|append)\s+(.*)$", text, re.MULTILINE)))
    top = "/boot" if tree.find(f"/boot{rows.get('linux', '/?')}") else ""
    words = rows.get("append", "").split()
    return BootEntry(top + rows.get("linux", "/?"), top + rows.get("initrd", "/?"), tuple(words))


def _read_script(tree: Tree, mount: str) -> BootEntry:
    """A kernel with U-Boot's header and one without have different names; the script has the command line."""
    kernel, initrd = ("uImage", "uInitrd") if tree.find(f"{mount}/uImage") else ("vmlinuz", "initrd.img")
    scripts = [entry.read().decode(errors="replace") for entry in tree.glob(f"{mount}/boot.*")]
    words = re.findall(r'^setenv bootargs "(.*)"$', "\n".join(scripts), re.MULTILINE)
    return BootEntry(f"{mount}/{kernel}", f"{mount}/{initrd}", tuple((words or [""])[-1].split()))


def _read_none(tree: Tree, mount: str) -> BootEntry:
    words = tree.file(f"{mount}/cmdline.txt").content_string.split()
    return BootEntry("/vmlinuz", "/initrd.img", tuple(words))


READERS: Mapping[str, Callable[[Tree, str], BootEntry]] = MappingProxyType(
    {
        "raspi": _read_raspi,
        "efi": _read_efi,
        "extlinux": _read_extlinux,
        "flash-kernel": _read_script,
        "none": _read_none,
    }
)


def read_fstab(lines: list[str]) -> dict[str, Mount]:
    """Return the lines of fstab by mount point; the last two fields may be left out (fstab(5))."""
    rows = [line.split() for line in lines]
    turns = [int(row[5]) if row[5:] and TURN.fullmatch(row[5]) else 0 for row in rows]
    return {row[1]: Mount(row[0], row[2], row[3], turn) for row, turn in zip(rows, turns, strict=True) if len(row) >= 4}
