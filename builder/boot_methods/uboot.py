# SPDX-License-Identifier: MIT
"""Files for U-Boot: the script of boot method flash-kernel, and what any U-Boot reads besides."""

from __future__ import annotations

from builder import quote
from builder.plan.model import Plan


def script_files(plan: Plan) -> dict[str, str]:
    """Return the names of the files that flash-kernel puts on the boot partition."""
    script, tree = plan.recipe.boot.script, str(plan.recipe.boot.device_tree)
    packed = bool(script and script.kernel_address)
    return {
        "kernel": "uImage" if packed else "vmlinuz",
        "initrd": "uInitrd" if packed else "initrd.img",
        "device_tree": tree.rpartition("/")[2],
    }


def render_script(plan: Plan) -> str:
    """Return the script with its placeholders filled. No program of the image writes it later."""
    assert plan.recipe.boot.script
    text = plan.recipe.boot.script.text
    for name, value in {**script_files(plan), "cmdline": quote.line(plan.kernel_cmdline)}.items():
        text = text.replace(f"{{{name}}}", value)
    return text


UBOOT_OTHERS = tuple(
    f"{prefix}{name}"
    for prefix in ("", "boot/")
    for name in (
        *("extlinux/extlinux.conf", "boot.scr", "boot.scr.uimg", "boot.ini", "uenv.txt"),
        *("uboot.env", "uboot-redund.env", "ubootefi.var", "efi/boot/*.efi"),
    )
)
"""U-Boot's include/config_distro_bootcmd.h and boot/bootmeth-uclass.c; uboot.env is its environment on a FAT."""
