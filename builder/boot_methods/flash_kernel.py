# SPDX-License-Identifier: MIT
"""Older U-Boots that run a script: kernel, initrd and device tree beside it, copied by flash-kernel."""

from __future__ import annotations

import re
from collections.abc import Collection

from builder import quote
from builder.boot_methods.lines import TEXT, read_text, refuse, refuse_others
from builder.boot_methods.model import BootEntry, BootProgram, Command
from builder.boot_methods.uboot import UBOOT_OTHERS, render_script, script_files
from builder.disk.filetree import FileTree
from builder.errors import VerifyError
from builder.plan.kernel_words import split_words
from builder.plan.model import Plan

MACHINE = "Boardwright"
"""Name of the board for flash-kernel. Its own names would add settings for stock boot loaders."""


def _render(plan: Plan) -> dict[str, str]:
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


def _read(tree: FileTree, plan: Plan, mount: str, laid: Collection[str]) -> BootEntry:
    """Read U-Boot's script, which must be the recipe's own, and the files of flash-kernel beside it."""
    script, files = plan.recipe.boot.script, script_files(plan)
    assert script
    path = f"{mount}/{script.file}"
    for slot in plan.disk.slots:
        refuse_others(tree, slot.mount, UBOOT_OTHERS, {path, *laid}, "U-Boot")
    text, wanted = read_text(tree, path), render_script(plan)
    if text != wanted:
        pairs = zip([*text.split("\n"), "(its end)"], [*wanted.split("\n"), "(its end)"], strict=False)
        number, (line, planned) = next((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        raise refuse(path, number, line, f"{planned!r}, as in the recipe")
    lines = [line for line in text.split("\n") if "bootargs" in line]
    matches = [re.fullmatch(rf'[ \t]*setenv bootargs "({TEXT})"', line) for line in lines]
    if len(matches) != 1 or matches[0] is None:
        raise VerifyError(
            f"{path} of the image has {len(lines)} lines about bootargs; expected one, "
            'setenv bootargs "WORDS", for example with {cmdline}',
            hint="change `boot.script` in the recipe",
        )
    return BootEntry(f"{mount}/{files['kernel']}", f"{mount}/{files['initrd']}", tuple(split_words(matches[0][1])))


PROGRAM = BootProgram(
    package="flash-kernel",
    path="/usr/sbin/flash-kernel",
    commands=lambda _: [Command(("flash-kernel",), (("FLASH_KERNEL_NOTRIGGER", "y"),))],
    render=_render,
    read=_read,
    # Without this file flash-kernel would detect the build machine instead of the board.
    seed={"/etc/flash-kernel/machine": "none\n"},
)
