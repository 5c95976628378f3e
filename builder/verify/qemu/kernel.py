# SPDX-License-Identifier: MIT
"""What starts, taken out of an image, for machines whose own firmware QEMU does not have.

Kernel and initrd are what a Raspberry Pi's firmware would load: config.txt names them, cmdline.txt is the command line.
A virtual machine has no ROM that reads a card, so its U-Boot is taken out too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder import quote
from builder.errors import VerifyError
from builder.plan.model import Plan
from builder.run import run
from builder.verify.qemu.card import MTOOLS, find_firmware, find_place

FILE = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
"""A file that config.txt names; mtools would take * and [ for patterns."""


@dataclass(frozen=True)
class BootFiles:
    """What a boot loader hands over."""

    kernel: Path
    initrd: Path
    device_tree: Path | None
    cmdline: str


def take_boot_files(card: Path, plan: Plan, directory: Path) -> BootFiles:
    """Copy the files of a card that its firmware would load; VerifyError when one is missing."""
    config = _take(card, plan, "config.txt", directory).read_text(encoding="utf-8", errors="replace")
    cmdline = _take(card, plan, "cmdline.txt", directory).read_text(encoding="utf-8", errors="replace")
    tree = plan.recipe.qemu.device_tree if plan.recipe.qemu else None
    return BootFiles(
        kernel=_take(card, plan, _find(config, r"^kernel=(\S+)", "kernel="), directory),
        initrd=_take(card, plan, _find(config, r"^initramfs[ =](\S+)", "initramfs"), directory),
        device_tree=_take(card, plan, tree, directory) if tree else None,
        cmdline=cmdline.strip(),
    )


def take_root_file(card: Path, plan: Plan, path: str, directory: Path) -> Path:
    """Copy a file of a card's root filesystem; VerifyError when it is missing."""
    copy = directory / PurePosixPath(path).name
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    # What fails does not show in the exit code of debugfs.
    command = f"dump {quote.debugfs(f'/{path}')} {quote.debugfs(copy)}"
    said = run(["debugfs", "-R", command, find_place(card, root).for_debugfs], ok=(0, 1)).stderr
    if not copy.is_file() or not copy.stat().st_size:
        raise VerifyError(f"the root filesystem of the image has no {path}: {said.strip()}")
    return copy


def _find(config: str, pattern: str, what: str) -> str:
    """Return the last one: a later line of config.txt wins."""
    found = re.findall(pattern, config, re.MULTILINE)
    if not found:
        raise VerifyError(f"config.txt of the image has no line with {what}")
    if not FILE.fullmatch(found[-1]):
        raise VerifyError(f"config.txt of the image names the file {found[-1][:80]!r}, which cannot be one")
    return str(found[-1])


def _take(card: Path, plan: Plan, name: str, directory: Path) -> Path:
    offset = find_place(card, find_firmware(plan)).offset_bytes
    copy = directory / PurePosixPath(name).name
    result = run(["mcopy", "-n", "-o", "-i", f"{card}@@{offset}", f"::{name}", copy], env=MTOOLS, ok=(0, 1))
    if result.code:
        raise VerifyError(f"the first partition of the image has no {name}: {result.stderr.strip()}")
    return copy
