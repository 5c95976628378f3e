# SPDX-License-Identifier: MIT
"""A boot method: the Debian program that writes the boot files of a board, its configuration, and what it wrote.

The program also runs when a kernel is upgraded on the board. So the files of the image and those after `apt upgrade`
come from one place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from builder.disk.filetree import FileTree
from builder.plan.model import Plan


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
class BootEntry:
    """Kernel, initrd and command line; paths are those of the system."""

    kernel: str
    initrd: str
    cmdline: tuple[str, ...]


@dataclass(frozen=True)
class BootProgram:
    """The program of a boot method."""

    package: str
    """Its Debian package."""
    path: str
    """Its path in the rootfs. If it is missing, the recipe lacks the package."""
    commands: Callable[[list[str]], list[Command]]
    """Return the commands to run, given the file names of the installed kernels."""
    render: Callable[[Plan], dict[str, str]]
    """Return its configuration: texts by path. Specs compare them with the image."""
    read: Callable[[FileTree, Plan, str, Collection[str]], BootEntry]
    """(tree, plan, mount point of the boot partition, paths of the board's files/) → the entry that is started.

    Only formats that the program writes are accepted. Raises VerifyError for any other line or file, because the boot
    loader may read something else.
    """
    added: tuple[str, ...] = ()
    """Kernel parameters that it adds by itself."""
    seed: Mapping[str, str] = field(default_factory=dict)
    """Files that must exist before the package is installed: text by path."""
