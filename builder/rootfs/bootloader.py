# SPDX-License-Identifier: MIT
"""Write the configuration of a board's boot method, and name the commands that make its boot files."""

from __future__ import annotations

from pathlib import Path

from builder.boot_methods.model import Command
from builder.boot_methods.table import find_boot_program
from builder.errors import RecipeError
from builder.plan.model import Plan
from builder.system.paths import resolve_inside, write_text


def prepare_boot(plan: Plan, rootfs: Path) -> list[Command]:
    """Write the configuration of the plan's boot method and return the commands that make the boot files."""
    program = find_boot_program(plan)
    if not resolve_inside(rootfs, program.path).exists():
        raise RecipeError(
            f"boards/{plan.board}: boot method {plan.recipe.boot.method} needs {program.path}, which the image lacks",
            hint=f"add the package {program.package} to `packages`",
        )
    for path, text in program.render(plan).items():
        write_text(rootfs, path, text)
    return program.commands(find_kernels(plan, rootfs))


def find_kernels(plan: Plan, rootfs: Path) -> list[str]:
    """Return the file names of the installed kernels (vmlinuz-6.12.107+deb13-arm64); raise RecipeError without one."""
    kernels = sorted((rootfs / "boot").glob("vmlinu[xz]-*"))  # Debian names them vmlinux-* on riscv64.
    if not kernels:
        raise RecipeError(
            f"boards/{plan.board}: no kernel was installed (no /boot/vmlinuz-* or vmlinux-*)",
            hint="name one in `kernel.packages`",
        )
    return [path.name for path in kernels]
