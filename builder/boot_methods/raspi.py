# SPDX-License-Identifier: MIT
"""Firmware of the Raspberry Pi: config.txt and cmdline.txt, written by z50-raspi-firmware of raspi-firmware."""

from __future__ import annotations

from collections.abc import Collection

from builder import quote
from builder.boot_methods.lines import NAME, BootLine, read_lines, read_text, refuse, refuse_others, take_one
from builder.boot_methods.model import BootEntry, BootProgram, Command
from builder.disk.filetree import FileTree
from builder.plan.kernel_words import split_words
from builder.plan.model import Plan

ADDED = ("rw", "rootwait", "fsck.repair=yes", "net.ifnames=0")
"""Kernel parameters that the hook adds."""
CONFIG_TXT = {
    # The firmware reads 98 characters of a line.
    "kernel": rf"(?=.{{1,98}}$)kernel=({NAME})",
    "initramfs": rf"(?=.{{1,98}}$)initramfs ({NAME})",
    "fixed": "arm_64bit=1|enable_uart=1|upstream_kernel=1",
}
"""Lines that z50-raspi-firmware of raspi-firmware writes before the recipe's lines."""
# Files that the firmware reads before its configuration or instead of it; in lower case.
RASPI_OTHERS = (
    *("autoboot.txt", "tryboot.txt", "boot.img", "boot.sig", "armstub*", "bootconf.txt"),
    *("recovery*.bin", "recovery.elf", "recovery.img", "pieeprom.*"),
)
"""https://www.raspberrypi.com/documentation/computers/raspberry-pi.html, "Boot sequence", and config_txt.html."""


def _render(plan: Plan) -> dict[str, str]:
    """Return the files from which Debian's raspi-firmware writes config.txt and cmdline.txt (its /etc/default file)."""
    words = plan.kernel_cmdline.split()
    consoles = [word.removeprefix("console=") for word in words if word.startswith("console=")]
    root = next(word.removeprefix("root=") for word in words if word.startswith("root="))
    others = [word for word in words if not word.startswith(("console=", "root=")) and word not in ADDED]
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


def _read(tree: FileTree, plan: Plan, mount: str, laid: Collection[str]) -> BootEntry:
    refuse_others(tree, mount, RASPI_OTHERS, laid, "the firmware")
    path = f"{mount}/config.txt"
    of_recipe = {line.rstrip(" \t") for text in plan.recipe.boot.config.values() for line in text.split("\n")} - {""}
    lines = read_lines(tree, path, CONFIG_TXT, lambda line: line.rstrip(" \t") in of_recipe)
    kernel, initrd = take_one(path, lines, "kernel"), take_one(path, lines, "initramfs")
    _refuse_after_a_filter(path, lines)
    return BootEntry(
        f"{mount}/{kernel}", f"{mount}/{initrd}", tuple(split_words(read_text(tree, f"{mount}/cmdline.txt")))
    )


def _refuse_after_a_filter(path: str, lines: list[BootLine]) -> None:
    """Raise VerifyError if a line of the build comes after the recipe's first filter ("[pi4]")."""
    first = next((line.number for line in lines if line.text.lstrip().startswith("[")), None)
    late = next((line for line in lines if first and line.number > first and line.key != "known"), None)
    if late:
        raise refuse(path, late.number, late.text, "lines of the recipe, after a line with [")


PROGRAM = BootProgram(
    package="raspi-firmware",
    path="/etc/kernel/postinst.d/z50-raspi-firmware",
    commands=lambda _: [Command(("/etc/kernel/postinst.d/z50-raspi-firmware",), (("DEB_MAINT_PARAMS", "configure"),))],
    render=_render,
    read=_read,
    added=ADDED,
)
