# SPDX-License-Identifier: MIT
"""A boot loader that is not in the image: its command line as a file."""

from __future__ import annotations

from collections.abc import Collection

from builder import quote
from builder.boot_methods.lines import read_text
from builder.boot_methods.model import BootEntry, BootProgram
from builder.disk.filetree import FileTree
from builder.plan.kernel_words import split_words
from builder.plan.model import Plan


def _render(plan: Plan) -> dict[str, str]:
    """Return the command line as a file, for the maker of the boot loader, which is not in this image."""
    return {"/boot/firmware/cmdline.txt": quote.line(plan.kernel_cmdline) + "\n"}


def _read(tree: FileTree, _: Plan, mount: str, laid: Collection[str]) -> BootEntry:
    return BootEntry("/vmlinuz", "/initrd.img", tuple(split_words(read_text(tree, f"{mount}/cmdline.txt"))))


PROGRAM = BootProgram(package="base-files", path="/etc/os-release", commands=lambda _: [], render=_render, read=_read)
