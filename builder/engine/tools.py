# SPDX-License-Identifier: MIT
"""Where an image is verified or booted: here, with what is there or can be installed, or in a container."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.choices import Engine
from builder.engine.apt import can_install, install_packages
from builder.engine.docker.connect import Chosen, choose_engine
from builder.errors import MachineError
from builder.recipe.load import list_boards, load_board
from builder.recipe.model import Recipe
from builder.verify.live.qemu.needs import Need

SPLIT_PACKAGES = {"qemu-system-misc": "qemu-system-riscv"}
"""Packages of Debian 12 by what has their programs since Debian 13."""


def choose_tools(wanted: Engine, missing: Sequence[Need]) -> Chosen:
    """Return where to work, after installing what is missing if it is to be here.

    Here if nothing is missing; else in a container if an Engine answers; else here, as root on Debian. `wanted` local
    or docker leaves only that.

    Raises MachineError when none of these ways is open, ToolError when packages cannot be installed.
    """
    if not missing and wanted != Engine.DOCKER:
        return Engine.LOCAL
    try:
        chosen = choose_engine(wanted)
    except MachineError as error:
        raise _explain(missing, error) if missing else error from None
    if chosen == Engine.LOCAL:
        _install(missing)
    return chosen


def guess_recipe(path: Path, board: str, boards: Path) -> Recipe | None:
    """Return the recipe of the board that is named, or that a file's name tells; None when neither says it.

    Only the image itself knows for sure, and this machine may have nothing to read it with.
    """
    known = list_boards(boards)
    told = [name for name in known if path.name.startswith(f"boardwright-{name}-")]
    name = board or max(told, key=len, default="")
    return load_board(boards, name).recipe if name in known else None


def _install(missing: Sequence[Need]) -> None:
    if hopeless := [need.name for need in missing if not need.package]:
        raise MachineError(
            f"this machine has no {', '.join(hopeless)}, and no package of it does",
            hint="start a Docker Engine, or use a newer Debian",
        )
    packages = {need.package for need in missing}
    names = [SPLIT_PACKAGES[name] if _is_split(name) else name for name in packages]
    install_packages(names, why="this machine lacks some tools")


def _is_split(package: str) -> bool:
    return package in SPLIT_PACKAGES and can_install(SPLIT_PACKAGES[package])


def _explain(missing: Sequence[Need], error: MachineError) -> MachineError:
    packages = " ".join(sorted({need.package for need in missing if need.package}))
    by_hand = f"apt-get install {packages} (Debian), or " if packages else ""
    return MachineError(
        f"this machine has no {', '.join(need.name for need in missing)}: {error.message}",
        hint=f"{by_hand}{error.hint}",
    )
