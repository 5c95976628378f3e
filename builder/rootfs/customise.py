# SPDX-License-Identifier: MIT
"""Run customise.sh of a board and its ancestors, and record the packages that it installs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from builder.boot_methods.model import Command
from builder.plan.model import Plan
from builder.rootfs.clean import remove_compiled
from builder.rootfs.delivered import add_packages, add_written
from builder.rootfs.installed import read_packages
from builder.system.paths import resolve_inside

CUSTOMISE = "customise.sh"
INSIDE = "/var/tmp/boardwright"  # noqa: S108 - in the rootfs, which has no other users
LIBRARY_CACHE, MODULES = "/etc/ld.so.cache", "/usr/lib/modules"
Run = Callable[[Sequence[Command], Path, int], None]


def run_scripts(
    plan: Plan, tree: Path, delivered: dict[str, Any], *, laid: Collection[str], run_inside: Run
) -> dict[str, Any]:
    """Run the scripts of a board and its ancestors.

    Return `delivered`, extended by the packages that the scripts installed or upgraded.

    laid        paths of the boards' own files, which never count as files of a package
    run_inside  runs commands in a tree, with SOURCE_DATE_EPOCH in seconds
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
    """Return the versions of the kernels that have modules."""
    return sorted(path.name for path in resolve_inside(tree, MODULES).glob("*") if (path / "modules.order").is_file())


def _list_indexes(tree: Path, kernels: Sequence[str]) -> list[str]:
    """Return the paths of the lists that depmod writes."""
    parents = [f"{MODULES}/{kernel}" for kernel in kernels]
    return [f"{parent}/{file.name}" for parent in parents for file in resolve_inside(tree, parent).glob("modules.*")]
