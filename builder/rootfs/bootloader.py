# SPDX-License-Identifier: MIT
"""Create the boot files with the image's own program, the one that also runs when a kernel is upgraded on the board.

A boot method has two parts: the configuration that this program reads (plan/boot_config.py), and how it is called.
So the files of the image and those after `apt upgrade` come from one place. A new method is one row in METHODS and
one row there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import RecipeError
from builder.plan.boot_config import ENTRY, render_boot_config
from builder.plan.model import Plan
from builder.system.paths import resolve_inside, write_text

ESP = "/boot/efi"


@dataclass(frozen=True)
class Command:
    """A command to run in the rootfs, with its environment variables."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    name: str = ""
    """Name in messages; empty: the name of the program."""
    network: bool = False
    """True if it may use the network of this machine."""


@dataclass(frozen=True)
class Method:
    """A boot method."""

    package: str
    """The Debian package whose program writes the boot files."""
    program: str
    """Path of that program. If it is missing, the recipe lacks the package."""
    commands: Callable[[list[str]], list[Command]]
    """Return the commands to run, given the file names of the installed kernels."""
    seed: Mapping[str, str] = field(default_factory=dict)
    """Files that must exist before the package is installed: text by path."""


def prepare_boot(plan: Plan, rootfs: Path) -> list[Command]:
    """Write the configuration of the plan's boot method and return the commands that make the boot files."""
    method = METHODS[plan.recipe.boot.method]
    if not resolve_inside(rootfs, method.program).exists():
        raise RecipeError(
            f"boards/{plan.board}: boot method {plan.recipe.boot.method} needs {method.program}, which the image lacks",
            hint=f"add the package {method.package} to `packages`",
        )
    for path, text in render_boot_config(plan).items():
        write_text(rootfs, path, text)
    return method.commands(find_kernels(plan, rootfs))


def find_kernels(plan: Plan, rootfs: Path) -> list[str]:
    """Return the file names of the installed kernels (vmlinuz-6.12.107+deb13-arm64); raise RecipeError without one."""
    kernels = sorted((rootfs / "boot").glob("vmlinu[xz]-*"))  # Debian names them vmlinux-* on riscv64.
    if not kernels:
        raise RecipeError(
            f"boards/{plan.board}: no kernel was installed (no /boot/vmlinuz-* or vmlinux-*)",
            hint="name one in `kernel.packages`",
        )
    return [path.name for path in kernels]


def _efi_commands(kernels: list[str]) -> list[Command]:
    # During the build the ESP is a plain directory. SYSTEMD_ESP_PATH skips the check that it is a mounted FAT.
    # BOOT_MNT is the directory that systemd's 90-loaderentry makes the paths of entries relative to. bookworm's does
    # not know it, so the last command corrects the entries. There are no EFI variables to write. The random seed would
    # be the same on every card. bookworm's bootctl always writes it, so clean.py removes it.
    env = (("SYSTEMD_ESP_PATH", ESP), ("BOOT_MNT", ESP))
    versions = {kernel: kernel.partition("-")[2] for kernel in kernels}
    entries = [f"{ESP}/loader/entries/{ENTRY}-{version}.conf" for version in versions.values()]
    return [
        Command(("bootctl", "install", "--no-variables"), env),
        *(
            Command(("kernel-install", "add", version, f"/boot/{kernel}", f"/boot/initrd.img-{version}"), env)
            for kernel, version in versions.items()
        ),
        Command(("sed", "--in-place", "--regexp-extended", rf"s#^((linux|initrd) +){ESP}/#\1/#", *entries)),
    ]


METHODS = {
    "raspi": Method(
        package="raspi-firmware",
        program="/etc/kernel/postinst.d/z50-raspi-firmware",
        commands=lambda _: [
            Command(("/etc/kernel/postinst.d/z50-raspi-firmware",), (("DEB_MAINT_PARAMS", "configure"),))
        ],
    ),
    "efi": Method(
        package="systemd-boot",
        program="/usr/bin/bootctl",
        commands=_efi_commands,
    ),
    "extlinux": Method(
        package="u-boot-menu",
        program="/usr/sbin/u-boot-update",
        commands=lambda _: [Command(("u-boot-update",))],
    ),
    "flash-kernel": Method(
        package="flash-kernel",
        program="/usr/sbin/flash-kernel",
        commands=lambda _: [Command(("flash-kernel",), (("FLASH_KERNEL_NOTRIGGER", "y"),))],
        # Without this file flash-kernel would detect the build machine instead of the board.
        seed={"/etc/flash-kernel/machine": "none\n"},
    ),
    "none": Method(package="base-files", program="/etc/os-release", commands=lambda _: []),
}
