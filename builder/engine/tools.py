# SPDX-License-Identifier: MIT
"""Choose where to verify or boot an image: on this machine, if its tools are or can be installed, or in a container."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.choices import Engine
from builder.disk.image_file import guess_board
from builder.engine.apt import can_install, install_packages
from builder.engine.docker.connect import Chosen, choose_engine
from builder.errors import MachineError
from builder.recipe.load import list_boards, load_board
from builder.recipe.model import Recipe
from builder.verify.live.qemu.needs import Need

SPLIT_PACKAGES = {"qemu-system-misc": "qemu-system-riscv"}
"""Packages of Debian 12 and the packages that have their programs since Debian 13."""


def choose_tools(engine: Engine, missing: Sequence[Need]) -> Chosen:
    """Return where to work, after the missing tools were installed if it is this machine.

    It is this machine if nothing is missing, else a container if an Engine answers, else this machine as root on
    Debian. `engine` local or docker forces one of them.

    Raises MachineError if none is possible, ToolError if packages cannot be installed.
    """
    if not missing and engine != Engine.DOCKER:
        return Engine.LOCAL
    try:
        chosen = choose_engine(engine)
    except MachineError as error:
        raise _explain(missing, error) if missing else error from None
    if chosen == Engine.LOCAL:
        _install(missing)
    return chosen


def guess_recipe(path: Path, board: str, boards: Path) -> Recipe | None:
    """Return the recipe of the named board, or of the board in the image's build record or name; None for no known one.

    Only the image itself is certain, but this machine may lack the tools to read it.
    """
    known = list_boards(boards)
    name = board or guess_board(path, known)
    return load_board(boards, name).recipe if name in known else None


def _install(missing: Sequence[Need]) -> None:
    if hopeless := [need.name for need in missing if not need.package]:
        raise MachineError(
            f"this machine lacks {', '.join(hopeless)}, and none of its packages has that",
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
        f"this machine lacks {', '.join(need.name for need in missing)}: {error.message}",
        hint=f"{by_hand}{error.hint}",
    )
