# SPDX-License-Identifier: MIT
"""The programs and firmware that reading or booting an image needs, and which of them this machine lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.architecture import QEMU_PACKAGES, Architecture
from builder.compression import find_compression
from builder.recipe.model import Recipe
from builder.recipe.qemu import Qemu
from builder.system.process import run
from builder.system.tools import DEBIAN_PACKAGES, has_tool
from builder.verify.live.qemu.command import find_uefi

CARD = ("sfdisk", "mcopy")
"""What reads the table of an image, and makes a card of it."""
SPECS = ("sfdisk", "e2fsck", "fsck.vfat", "zstd")
"""zstd unpacks initrds."""


@dataclass(frozen=True)
class Need:
    """Something that is missing here."""

    name: str
    """As an error names it."""
    package: str = ""
    """The Debian package that has it; empty where none of this machine's can."""


def find_missing_for_boot(path: Path, recipe: Recipe | None, *, login: bool) -> tuple[Need, ...]:
    """Return what `boot` lacks here.

    path    the image file; a compressed one needs a program to unpack it
    recipe  the board's; None where it is not known before the image is read
    login   whether a key is made
    """
    tools = [*CARD, *_unpackers(path), *(["ssh-keygen"] if login else [])]
    return (*_find_missing(tools), *_find_missing_qemu(recipe))


def find_missing_for_specs(path: Path, recipe: Recipe | None, *, boot: bool) -> tuple[Need, ...]:
    """Return what `verify` lacks here for an image file, with `boot` for the level booted too."""
    tools = dict.fromkeys([*SPECS, *_unpackers(path)])
    if not boot:
        return _find_missing(tools)
    return (*_find_missing(dict.fromkeys([*tools, *CARD, "ssh", "ssh-keygen"])), *_find_missing_qemu(recipe))


def _unpackers(path: Path) -> Sequence[str]:
    """Return the program that unpacks an image file, where one does."""
    return find_compression(path.name).row.unpack[:1]


def _find_missing(tools: Iterable[str]) -> tuple[Need, ...]:
    return tuple(Need(tool, DEBIAN_PACKAGES[tool]) for tool in tools if not has_tool(tool))


def _find_missing_qemu(recipe: Recipe | None) -> tuple[Need, ...]:
    """A board that is not known yet may be for any QEMU that is here; one that has no `qemu` needs none."""
    if recipe is None:
        programs = tuple(QEMU_PACKAGES)
        return () if any(map(has_tool, programs)) else _find_missing(programs)
    if recipe.qemu is None:
        return ()
    return (*_find_missing_machine(recipe.architecture, recipe.qemu), *_find_missing_firmware(recipe))


def _find_missing_machine(architecture: Architecture, qemu: Qemu) -> tuple[Need, ...]:
    program = architecture.row.qemu_system
    if missing := _find_missing([program]):
        return missing
    known = {line.split()[0] for line in run([program, "-machine", "help"]).stdout.splitlines() if line.strip()}
    return () if qemu.machine.partition(",")[0] in known else (Need(f"the machine {qemu.machine} in {program}"),)


def _find_missing_firmware(recipe: Recipe) -> tuple[Need, ...]:
    if recipe.qemu is None or recipe.qemu.firmware != "uefi" or find_uefi(recipe.architecture):
        return ()
    return (Need(f"UEFI firmware for {recipe.architecture}", recipe.architecture.row.uefi_package),)
