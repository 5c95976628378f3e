# SPDX-License-Identifier: MIT
"""Boot files, written by the program of the image that also writes them when a kernel is upgraded on the board.

A method is two things: the configuration that program reads, and how it is called. So the files of the image and
those after `apt upgrade` come from one place. Adding a method = one row in METHODS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder import quote
from builder.errors import RecipeError
from builder.plan.boot_script import render_script, script_files
from builder.plan.kernel_words import ADDED
from builder.plan.model import Plan
from builder.rootfs.model import ENTRY
from builder.tree import resolve_inside, write_text

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
    configure: Callable[[Plan, Path], None]
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
    method.configure(plan, rootfs)
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


def _configure_raspi(plan: Plan, rootfs: Path) -> None:
    """Debian's raspi-firmware reads three files and writes config.txt and cmdline.txt (its /etc/default file)."""
    words = plan.kernel_cmdline.split()
    consoles = [word.removeprefix("console=") for word in words if word.startswith("console=")]
    root = next(word.removeprefix("root=") for word in words if word.startswith("root="))
    # The hook adds these itself; said twice, they would only be noise on the command line.
    others = [word for word in words if not word.startswith(("console=", "root=")) and word not in ADDED["raspi"]]
    write_text(
        rootfs,
        "/etc/default/raspi-firmware",
        "# Written by Boardwright. After a change: update-initramfs -u\n"
        f"CONSOLES={quote.shell(' '.join(consoles))}\n"
        f"ROOTPART={quote.shell(root)}\n"
        "# A fixed CMA pool keeps the Raspberry Pi 4 from booting; the device tree has a good one for each model.\n"
        "CMA=0\n",
    )
    write_text(rootfs, "/etc/default/raspi-extra-cmdline", quote.line(" ".join(others)) + "\n")
    write_text(
        rootfs,
        "/etc/default/raspi-firmware-custom",
        "".join(f"# {name}\n{text.rstrip()}\n" for name, text in plan.recipe.boot.config.items()),
    )


def _configure_efi(plan: Plan, rootfs: Path) -> None:
    write_text(rootfs, "/etc/kernel/cmdline", quote.line(plan.kernel_cmdline) + "\n")
    write_text(rootfs, "/etc/kernel/install.conf", "layout=bls\n")
    # The name of the loader entries. Without it the machine-id is taken, which the image does not have yet.
    write_text(rootfs, "/etc/kernel/entry-token", f"{ENTRY}\n")
    write_text(rootfs, f"{_boot_mount(plan)}/loader/loader.conf", "timeout 1\nconsole-mode keep\n")


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


def _configure_extlinux(plan: Plan, rootfs: Path) -> None:
    words = plan.kernel_cmdline.split()
    root = next(word for word in words if word.startswith("root="))
    parameters = " ".join(word for word in words if word != root)
    values = {"U_BOOT_ROOT": root, "U_BOOT_PARAMETERS": parameters, "U_BOOT_MENU_LABEL": "Boardwright"}
    if plan.recipe.boot.device_tree:
        values["U_BOOT_FDT"] = plan.recipe.boot.device_tree
    text = "".join(f"{name}={quote.shell(value)}\n" for name, value in values.items())
    write_text(rootfs, "/etc/default/u-boot", f"# Written by Boardwright. After a change: u-boot-update\n{text}")


MACHINE = "Boardwright"
"""What flash-kernel calls the board; its own names would bring what it knows of their stock boot loaders."""


def _configure_flash_kernel(plan: Plan, rootfs: Path) -> None:
    """Debian's flash-kernel reads the board's entry, and copies kernel, initrd and device tree at each upgrade."""
    script, files = plan.recipe.boot.script, script_files(plan)
    assert script
    entry = {
        "Machine": MACHINE,
        "Kernel-Flavors": "any",
        "DTB-Id": str(plan.recipe.boot.device_tree),
        **(
            {"U-Boot-Kernel-Address": script.kernel_address, "U-Boot-Initrd-Address": "0x0"}
            if script.kernel_address
            else {}
        ),
        "Boot-Kernel-Path": f"/boot/firmware/{files['kernel']}",
        "Boot-Initrd-Path": f"/boot/firmware/{files['initrd']}",
        "Boot-DTB-Path": f"/boot/firmware/{files['device_tree']}",
    }
    write_text(rootfs, "/etc/flash-kernel/db", quote.deb822(entry))
    write_text(rootfs, "/etc/flash-kernel/machine", f"{MACHINE}\n")
    write_text(rootfs, "/etc/flash-kernel/ignore-efi", "yes\n")  # Of the machine that builds, too.
    options = 'LINUX_KERNEL_CMDLINE=""\nNO_CREATE_DOT_BAK_FILES=true\n'
    write_text(
        rootfs, "/etc/default/flash-kernel", f"# Written by Boardwright. After a change: flash-kernel\n{options}"
    )
    write_text(rootfs, f"/boot/firmware/{script.file}", render_script(plan))


def _configure_none(plan: Plan, rootfs: Path) -> None:
    """What starts the kernel is elsewhere; whoever makes that needs to know what to tell the kernel."""
    write_text(rootfs, "/boot/firmware/cmdline.txt", quote.line(plan.kernel_cmdline) + "\n")


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
    "flash-kernel": Method(
        package="flash-kernel",
        program="/usr/sbin/flash-kernel",
        configure=_configure_flash_kernel,
        commands=lambda _: [Command(("flash-kernel",), (("FLASH_KERNEL_NOTRIGGER", "y"),))],
        # Until the board's entry is there, flash-kernel would ask the building machine what it is.
        seed={"/etc/flash-kernel/machine": "none\n"},
    ),
    "none": Method(package="base-files", program="/etc/os-release", configure=_configure_none, commands=lambda _: []),
}
