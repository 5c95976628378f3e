# SPDX-License-Identifier: MIT
"""The script customise.sh of a board and its ancestors, and what is known of a tree when it has run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from builder.plan.model import Plan
from builder.rootfs.bootloader import Command
from builder.rootfs.clean import remove_compiled
from builder.rootfs.delivered import add_packages, add_written
from builder.rootfs.installed import read_packages
from builder.system.paths import resolve_inside

CUSTOMISE = "customise.sh"
INSIDE = "/var/tmp/boardwright"  # noqa: S108 - of the rootfs, where nobody else is
LIBRARY_CACHE, MODULES = "/etc/ld.so.cache", "/usr/lib/modules"
Run = Callable[[Sequence[Command], Path, int], None]


def run_scripts(
    plan: Plan, tree: Path, delivered: dict[str, Any], *, laid: Collection[str], run_inside: Run
) -> dict[str, Any]:
    """Run the scripts of a board and its ancestors, and return what was delivered with the packages that they installed
    or upgraded.

    laid        paths of the boards' own files, of which none is a package's, where that has it too
    run_inside  runs commands in a tree, at a time in seconds since 1970
    """
    scripts = [directory for directory in plan.directories if (directory / CUSTOMISE).is_file()]
    if not scripts:
        return delivered
    before = set(read_packages(tree))
    for directory in scripts:
        shutil.copyfile(directory / CUSTOMISE, tree / INSIDE.lstrip("/"))
        network = plan.recipe.customise.network
        script = Command(("sh", "-e", INSIDE), name=f"{directory.name}/{CUSTOMISE}", network=network)
        run_inside([script], tree, plan.epoch)
    if installed := {package.name for package in set(read_packages(tree)) - before}:
        delivered = add_packages(delivered, tree, installed, laid)
    remove_compiled(tree, delivered["access"])
    kernels = _list_kernels(tree)
    run_inside([Command(("ldconfig",)), *(Command(("depmod", kernel)) for kernel in kernels)], tree, plan.epoch)
    return add_written(delivered, tree, [LIBRARY_CACHE, *_list_indexes(tree, kernels)])


def _list_kernels(tree: Path) -> list[str]:
    """Return the versions of kernels that have modules."""
    return sorted(path.name for path in resolve_inside(tree, MODULES).glob("*") if (path / "modules.order").is_file())


def _list_indexes(tree: Path, kernels: Sequence[str]) -> list[str]:
    """Return the places of the lists that depmod makes."""
    directories = [f"{MODULES}/{kernel}" for kernel in kernels]
    return [f"{place}/{path.name}" for place in directories for path in resolve_inside(tree, place).glob("modules.*")]
