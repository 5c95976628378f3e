# SPDX-License-Identifier: MIT
"""Find the module of a boot method. A new method is a module here, and a row in builder/recipe/boot.py."""

from __future__ import annotations

from collections.abc import Collection

from builder.boot_methods.model import BootEntry, BootProgram
from builder.disk.filetree import FileTree
from builder.plan.model import Plan
from builder.recipe.boot import BootMethod
from builder.system.extensions import load_named

PROGRAMS = load_named(__package__, BootMethod, "PROGRAM", BootProgram)


def find_boot_program(plan: Plan) -> BootProgram:
    """Return the program of the plan's boot method."""
    return PROGRAMS[plan.recipe.boot.method]


def render_boot_config(plan: Plan) -> dict[str, str]:
    """Return the configuration of the plan's boot method: texts by path."""
    return find_boot_program(plan).render(plan)


def read_boot_entry(tree: FileTree, plan: Plan, mount: str, laid: Collection[str]) -> BootEntry:
    """Return the entry that the boot loader starts from the boot partition at `mount`; see BootProgram.read."""
    return find_boot_program(plan).read(tree, plan, mount, laid)


def planned_words(plan: Plan) -> frozenset[str]:
    """Return the kernel parameters that a build of a plan writes, and those that the program adds."""
    return frozenset({*plan.kernel_cmdline.split(), *find_boot_program(plan).added})
