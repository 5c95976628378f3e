# SPDX-License-Identifier: MIT
"""Render the configuration of programs that write boot files, in the build and at each kernel upgrade on the board.

Specs compare it with the image: a different line would be in the boot files after the next upgrade.
A new boot method is one row in RENDERERS, and one in rootfs/bootloader.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from builder import quote
from builder.plan.boot_script import render_script, script_files
from builder.plan.kernel_words import ADDED
from builder.plan.model import Plan

ENTRY = "boardwright"
"""First part of the names of systemd-boot's entries: kernel-install's entry token."""
MACHINE = "Boardwright"
"""Name of the board for flash-kernel. Its own names would add settings for stock boot loaders."""


def render_boot_config(plan: Plan) -> dict[str, str]:
    """Return the files for the plan's boot method: their texts by path."""
    return RENDERERS[plan.recipe.boot.method](plan)


def _render_raspi(plan: Plan) -> dict[str, str]:
    """Return the files from which Debian's raspi-firmware writes config.txt and cmdline.txt (its /etc/default file)."""
    words = plan.kernel_cmdline.split()
    consoles = [word.removeprefix("console=") for word in words if word.startswith("console=")]
    root = next(word.removeprefix("root=") for word in words if word.startswith("root="))
    # The hook itself adds these.
    others = [word for word in words if not word.startswith(("console=", "root=")) and word not in ADDED["raspi"]]
    return {
        "/etc/default/raspi-firmware": "# Written by Boardwright. After a change: update-initramfs -u\n"
        f"CONSOLES={quote.shell(' '.join(consoles))}\n"
        f"ROOTPART={quote.shell(root)}\n"
        "# A fixed CMA pool keeps the Raspberry Pi 4 from booting; the device tree has a good one for each model.\n"
        "CMA=0\n",
        "/etc/default/raspi-extra-cmdline": quote.line(" ".join(others)) + "\n",
        "/etc/default/raspi-firmware-custom": "".join(
            f"# {name}\n{text.rstrip()}\n" for name, text in plan.recipe.boot.config.items()
        ),
    }


def _render_efi(plan: Plan) -> dict[str, str]:
    mount = next((slot.mount for slot in plan.disk.slots if slot.mount.startswith("/boot")), "/boot")
    return {
        "/etc/kernel/cmdline": quote.line(plan.kernel_cmdline) + "\n",
        "/etc/kernel/install.conf": "layout=bls\n",
        # Name of the loader entries. Without it kernel-install uses the machine-id, which the image does not have yet.
        "/etc/kernel/entry-token": f"{ENTRY}\n",
        f"{mount}/loader/loader.conf": "timeout 1\nconsole-mode keep\n",
    }


def _render_extlinux(plan: Plan) -> dict[str, str]:
    words = plan.kernel_cmdline.split()
    root = next(word for word in words if word.startswith("root="))
    parameters = " ".join(word for word in words if word != root)
    values = {"U_BOOT_ROOT": root, "U_BOOT_PARAMETERS": parameters, "U_BOOT_MENU_LABEL": "Boardwright"}
    if plan.recipe.boot.device_tree:
        values["U_BOOT_FDT"] = plan.recipe.boot.device_tree
    text = "".join(f"{name}={quote.shell(value)}\n" for name, value in values.items())
    return {"/etc/default/u-boot": f"# Written by Boardwright. After a change: u-boot-update\n{text}"}


def _render_flash_kernel(plan: Plan) -> dict[str, str]:
    """Return the board's entry for Debian's flash-kernel, which copies kernel, initrd and device tree at upgrades."""
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
    options = 'LINUX_KERNEL_CMDLINE=""\nNO_CREATE_DOT_BAK_FILES=true\n'
    return {
        "/etc/flash-kernel/db": quote.deb822(entry),
        "/etc/flash-kernel/machine": f"{MACHINE}\n",
        "/etc/flash-kernel/ignore-efi": "yes\n",  # The build machine may have EFI, too.
        "/etc/default/flash-kernel": f"# Written by Boardwright. After a change: flash-kernel\n{options}",
        f"/boot/firmware/{script.file}": render_script(plan),
    }


def _render_none(plan: Plan) -> dict[str, str]:
    """Return the command line as a file, for the maker of the boot loader, which is not in this image."""
    return {"/boot/firmware/cmdline.txt": quote.line(plan.kernel_cmdline) + "\n"}


RENDERERS: Mapping[str, Callable[[Plan], dict[str, str]]] = MappingProxyType(
    {
        "raspi": _render_raspi,
        "efi": _render_efi,
        "extlinux": _render_extlinux,
        "flash-kernel": _render_flash_kernel,
        "none": _render_none,
    }
)
