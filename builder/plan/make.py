# SPDX-License-Identifier: MIT
"""Make the plan of a board. It reads files of the board, and needs no root, no network and no Docker.

The same board, version, epoch and user-data give the same plan on any machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from builder.errors import RecipeError
from builder.plan.ids import make_identity
from builder.plan.layout import make_disk
from builder.plan.model import Disk, Plan
from builder.plan.packages import add_docker_archive, make_packages
from builder.plan.stages import make_steps
from builder.plan.user_data import check_network_config, check_user_data
from builder.recipe.boot import Boot
from builder.recipe.load import Board
from builder.system.paths import fold_name

OVERLAY, FIRMWARE = "files", "boot/firmware"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def make_plan(board: Board, *, version: str, epoch: int, user_data: Path | None = None) -> Plan:
    """Return all decisions of one build.

    version    version of the image, part of its name and its ids
    epoch      SOURCE_DATE_EPOCH in seconds
    user_data  the user's cloud-config, which replaces the documented example

    Raises RecipeError for a version that cannot be in a file name, and for invalid user-data.
    """
    if not _VERSION.fullmatch(version):
        raise RecipeError(
            f"found the version {_shorten(version)!r}; expected at most 100 letters, digits and . _ + -, a letter or "
            "digit first",
            hint="set it with --version or VERSION=",
        )
    warnings = [*board.warnings, *_check_first_boot(board, user_data)]
    disk = make_disk(board.recipe, make_identity(board, version))
    plan = Plan(
        board=board.name,
        version=version,
        epoch=epoch,
        recipe=add_docker_archive(board.recipe),
        directories=board.directories,
        packages=make_packages(board.recipe, board.family_packages),
        disk=disk,
        kernel_cmdline=make_kernel_cmdline(board.recipe.boot, disk),
        user_data=user_data,
        image_name=f"boardwright-{board.name}-{version}.img",
        steps=(),
        expected=board.expected,
        warnings=tuple(warnings),
    )
    return replace(plan, steps=make_steps(plan, board.files))


def _check_first_boot(board: Board, user_data: Path | None) -> Iterator[str]:
    """Yield warnings about user-data and network-config; those of the first ancestor are known to be right."""
    of_family = board.directories[0] / OVERLAY
    checks = {"user-data": check_user_data, "network-config": check_network_config}
    given = {"user-data": user_data} if user_data else {}
    for name, check in checks.items():
        laid = [file for top in board.files for file in _find_laid(top / FIRMWARE, name)]
        of_board = [file for file in laid[-1:] if len(board.directories) == 1 or not file.is_relative_to(of_family)]
        for file in [given[name]] if name in given else of_board:
            yield from check(file)


def _find_laid(directory: Path, name: str) -> list[Path]:
    """Return the files that cloud-init finds by a name. The directory becomes a FAT, which ignores case."""
    files = sorted(directory.iterdir()) if directory.is_dir() else []
    return [file for file in files if fold_name(file.name) == name and file.is_file()]


def make_kernel_cmdline(boot: Boot, disk: Disk) -> str:
    """Return the kernel's command line on one line: root= first, then the groups in the recipe's order."""
    root = next(slot.partuuid for slot in disk.slots if slot.mount == "/")
    words = [word for group in boot.cmdline.values() for word in group.split()]
    return " ".join([f"root=PARTUUID={root}", *words])


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"
