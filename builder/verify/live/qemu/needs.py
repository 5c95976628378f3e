# SPDX-License-Identifier: MIT
"""Find the programs and firmware that this machine lacks to verify or boot an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.architecture import QEMU_PACKAGES, Architecture
from builder.compression import find_compression
from builder.filesystem import CHECKERS
from builder.recipe.model import Recipe
from builder.recipe.qemu import Qemu
from builder.system.process import run
from builder.system.tools import DEBIAN_PACKAGES, has_tool
from builder.verify.live.qemu.command import find_uefi

CARD = ("sfdisk", "mcopy")
"""Programs that read an image's table and make its card."""
SPECS = ("sfdisk", *CHECKERS, "zstd")
"""Programs for the specs; zstd unpacks initrds."""


@dataclass(frozen=True)
class Need:
    """A program or firmware that is missing on this machine."""

    name: str
    """Name in an error message."""
    package: str = ""
    """The Debian package that has it; "" if there is none for this machine."""


def find_missing_for_boot(path: Path, recipe: Recipe | None, *, login: bool) -> tuple[Need, ...]:
    """Return the needs of `boot` that this machine lacks.

    path    the image file; a compressed one needs a program to unpack it
    recipe  the board's recipe; None if it is not known before the image is read
    login   True if an ssh key is made
    """
    tools = [*CARD, *_unpackers(path), *(["ssh-keygen"] if login else [])]
    return (*_find_missing(tools), *_find_missing_qemu(recipe))


def find_missing_for_specs(path: Path, recipe: Recipe | None, *, boot: bool) -> tuple[Need, ...]:
    """Return the needs of `verify` that this machine lacks for an image file; `boot` adds those of the level booted."""
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
    """Return the missing QEMU. An unknown board may need any QEMU; a board without `qemu` needs none."""
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
