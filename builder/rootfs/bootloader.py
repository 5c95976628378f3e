# SPDX-License-Identifier: MIT
"""Boot files, written by the program of the image that also writes them when a kernel is upgraded on the board.

A method is two things: the configuration that program reads (plan/boot_config.py), and how it is called. So the files
of the image and those after `apt upgrade` come from one place. Adding a method = one row in METHODS, and one there.
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
    """A program to run in the rootfs, with what it needs in its environment."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    name: str = ""
    """What messages call it, if not by its program."""
    network: bool = False
    """Whether it has the network of this machine."""


@dataclass(frozen=True)
class Method:
    """A way to boot."""

    package: str
    """The Debian package whose program writes the boot files."""
    program: str
    """That program; its absence means that the recipe forgot the package."""
    commands: Callable[[list[str]], list[Command]]
    """What to run, given the files of the installed kernels."""
    seed: Mapping[str, str] = field(default_factory=dict)
    """Files that must be there before the package is installed."""


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
    """Return the file names of the installed kernels (vmlinuz-6.12.107+deb13-arm64); RecipeError when there is none."""
    kernels = sorted((rootfs / "boot").glob("vmlinu[xz]-*"))  # Debian's are vmlinux-* on riscv64.
    if not kernels:
        raise RecipeError(
            f"boards/{plan.board}: no kernel was installed (no /boot/vmlinuz-* or vmlinux-*)",
            hint="name one in `kernel.packages`",
        )
    return [path.name for path in kernels]


def _efi_commands(kernels: list[str]) -> list[Command]:
    # The ESP is a plain directory while the image is made: named by the first variable, it is not checked for being a
    # mounted FAT. BOOT_MNT is what systemd's 90-loaderentry makes the entries' paths relative to; bookworm takes
    # no such word, and its entries are corrected. There are no EFI variables to write. The random seed, which would be
    # the same on every card, is taken out with the other traces of the build: bookworm's bootctl cannot leave it out.
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
        # Until the board's entry is there, flash-kernel would ask the building machine what it is.
        seed={"/etc/flash-kernel/machine": "none\n"},
    ),
    "none": Method(package="base-files", program="/etc/os-release", commands=lambda _: []),
}
