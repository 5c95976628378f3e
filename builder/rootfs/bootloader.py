# SPDX-License-Identifier: MIT
"""Boot files, written by the program of the image that also writes them when a kernel is upgraded on the board.

A method is two things: the configuration that program reads, and how it is called. So the files of the image and
those after `apt upgrade` come from one place. Adding a method = one row in METHODS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.errors import RecipeError
from builder.plan.model import Plan
from builder.tree import resolve_inside, write_text


@dataclass(frozen=True)
class Command:
    """A program to run in the rootfs, with what it needs in its environment."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    name: str = ""
    """What messages call it, if not by its program."""


@dataclass(frozen=True)
class Method:
    """A way to boot."""

    package: str
    """The Debian package whose program writes the boot files."""
    program: str
    """That program; its absence means that the recipe forgot the package."""
    configure: Callable[[Plan, Path], None]
    commands: Callable[[list[str]], list[Command]]
    """What to run, given the kernel versions that are installed."""


def prepare_boot(plan: Plan, rootfs: Path) -> list[Command]:
    """Write the configuration of the plan's boot method and return the commands that make the boot files."""
    method = METHODS[plan.recipe.boot.method]
    if not resolve_inside(rootfs, method.program).exists():
        raise RecipeError(
            f"boards/{plan.board}: boot method {plan.recipe.boot.method} needs {method.program}, which the image lacks",
            hint=f"add the package {method.package} to `packages`",
        )
    method.configure(plan, rootfs)
    return method.commands(find_kernels(plan, rootfs))


def find_kernels(plan: Plan, rootfs: Path) -> list[str]:
    """Return the versions of the installed kernels; RecipeError when there is none."""
    kernels = sorted(path.name.removeprefix("vmlinuz-") for path in (rootfs / "boot").glob("vmlinuz-*"))
    if not kernels:
        raise RecipeError(
            f"boards/{plan.board}: no kernel was installed (no /boot/vmlinuz-*)", hint="name one in `kernel.packages`"
        )
    return kernels


def _configure_raspi(plan: Plan, rootfs: Path) -> None:
    """Debian's raspi-firmware reads three files and writes config.txt and cmdline.txt (its /etc/default file)."""
    words = plan.kernel_cmdline.split()
    consoles = [word.removeprefix("console=") for word in words if word.startswith("console=")]
    root = next(word.removeprefix("root=") for word in words if word.startswith("root="))
    # The hook adds these itself; said twice, they would only be noise on the command line.
    added_by_hook = {"rw", "rootwait", "fsck.repair=yes", "net.ifnames=0"}
    others = [word for word in words if not word.startswith(("console=", "root=")) and word not in added_by_hook]
    write_text(
        rootfs,
        "/etc/default/raspi-firmware",
        "# Written by Boardwright. After a change: update-initramfs -u\n"
        f'CONSOLES="{" ".join(consoles)}"\n'
        f'ROOTPART="{root}"\n'
        "# A fixed CMA pool keeps the Raspberry Pi 4 from booting; the device tree has a good one for each model.\n"
        "CMA=0\n",
    )
    write_text(rootfs, "/etc/default/raspi-extra-cmdline", " ".join(others) + "\n")
    write_text(
        rootfs,
        "/etc/default/raspi-firmware-custom",
        "".join(f"# {name}\n{text.rstrip()}\n" for name, text in plan.recipe.boot.config.items()),
    )


def _configure_efi(plan: Plan, rootfs: Path) -> None:
    write_text(rootfs, "/etc/kernel/cmdline", plan.kernel_cmdline + "\n")
    write_text(rootfs, "/etc/kernel/install.conf", "layout=bls\n")
    # The name of the loader entries. Without it the machine-id is taken, which the image does not have yet.
    write_text(rootfs, "/etc/kernel/entry-token", "boardwright\n")
    write_text(rootfs, f"{_boot_mount(plan)}/loader/loader.conf", "timeout 1\nconsole-mode keep\n")


def _efi_commands(kernels: list[str]) -> list[Command]:
    # The ESP is a plain directory while the image is made: named by this variable, it is not checked for being a
    # mounted FAT. BOOT_MNT is what systemd's 90-loaderentry makes the entries' paths relative to. There are no EFI
    # variables to write, and a random seed in an image would be the same everywhere.
    env = (("SYSTEMD_ESP_PATH", "/boot/efi"), ("BOOT_MNT", "/boot/efi"))
    install = ("bootctl", "install", "--no-variables", "--random-seed=no")
    return [
        Command(install, env),
        *(
            Command(("kernel-install", "add", kernel, f"/boot/vmlinuz-{kernel}", f"/boot/initrd.img-{kernel}"), env)
            for kernel in kernels
        ),
    ]


def _configure_extlinux(plan: Plan, rootfs: Path) -> None:
    words = plan.kernel_cmdline.split()
    root = next(word for word in words if word.startswith("root="))
    parameters = " ".join(word for word in words if word != root)
    lines = [f'U_BOOT_ROOT="{root}"', f'U_BOOT_PARAMETERS="{parameters}"', 'U_BOOT_MENU_LABEL="Boardwright"']
    if plan.recipe.boot.device_tree:
        lines.append(f'U_BOOT_FDT="{plan.recipe.boot.device_tree}"')
    text = "\n".join(["# Written by Boardwright. After a change: u-boot-update", *lines, ""])
    write_text(rootfs, "/etc/default/u-boot", text)


def _boot_mount(plan: Plan) -> str:
    return next((slot.mount for slot in plan.disk.slots if slot.mount.startswith("/boot")), "/boot")


METHODS = {
    "raspi": Method(
        package="raspi-firmware",
        program="/etc/kernel/postinst.d/z50-raspi-firmware",
        configure=_configure_raspi,
        commands=lambda _: [
            Command(("/etc/kernel/postinst.d/z50-raspi-firmware",), (("DEB_MAINT_PARAMS", "configure"),))
        ],
    ),
    "efi": Method(
        package="systemd-boot",
        program="/usr/bin/bootctl",
        configure=_configure_efi,
        commands=_efi_commands,
    ),
    "extlinux": Method(
        package="u-boot-menu",
        program="/usr/sbin/u-boot-update",
        configure=_configure_extlinux,
        commands=lambda _: [Command(("u-boot-update",))],
    ),
}
