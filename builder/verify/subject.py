# SPDX-License-Identifier: MIT
"""The image under test, read once: what a spec asks about it. Nothing of it is mounted, run or changed.

Every property is found when it is first asked for and then kept, because hundreds of specs ask.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from builder.plan.model import Plan, Slot
from builder.recipe.model import Filesystem
from builder.run import Result, run
from builder.verify.accounts import Group, User, read_groups, read_shadow, read_users
from builder.verify.debian import Package, find_changed_files, listed_files, read_packages
from builder.verify.elf import HEAD_BYTES, is_elf, is_foreign
from builder.verify.entry import Entry
from builder.verify.ext4 import Place, read_ext4
from builder.verify.fat import read_fat
from builder.verify.initrd import Initrd, read_initrd
from builder.verify.partitions import Partition, Table, read_table
from builder.verify.tree import File, Tree


class Subject:
    """An image, and the plan that says where its filesystems belong."""

    def __init__(self, raw: Path, plan: Plan, scratch: Path) -> None:
        self.raw = raw
        self.plan = plan
        self._scratch = scratch

    # The disk

    @cached_property
    def size_bytes(self) -> int:
        """Length of the disk."""
        return self.raw.stat().st_size

    @cached_property
    def table(self) -> Table:
        """The partition table."""
        return read_table(self.raw)

    @cached_property
    def table_check(self) -> Result:
        """What sfdisk says of the table."""
        return run(["sfdisk", "--verify", self.raw], ok=range(256))

    def partition(self, slot: Slot) -> Partition:
        """Return the row of the table that is a slot of the plan."""
        found = next((row for row in self.table.partitions if row.number == slot.number), None)
        if found is None:
            raise AssertionError(f"the table has no partition {slot.number}")
        return found

    def place(self, slot: Slot) -> Place:
        """Return where the filesystem of a slot lies."""
        return Place(self.raw, self.partition(slot).offset_bytes)

    def read_disk(self, offset_bytes: int, size_bytes: int) -> bytes:
        """Return bytes of the disk."""
        with self.raw.open("rb") as stream:
            stream.seek(offset_bytes)
            return stream.read(size_bytes)

    # The system

    @cached_property
    def tree(self) -> Tree:
        """All filesystems in their places, the root filesystem first."""
        slots = sorted(self.plan.disk.slots, key=lambda slot: slot.mount)
        return Tree(entry for slot in slots for entry in self._read_slot(slot))

    def _read_slot(self, slot: Slot) -> list[Entry]:
        if slot.filesystem is Filesystem.FAT32:
            directory = self._scratch / f"fat-{slot.name}"
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            return read_fat(self.place(slot), slot.mount, directory)
        return [
            Entry(**{**vars(entry), "path": f"{slot.mount.rstrip('/')}{entry.path}"}) if slot.mount != "/" else entry
            for entry in read_ext4(self.place(slot))
        ]

    def file(self, path: str) -> File:
        """Return what is asked about a path of the system."""
        return self.tree.file(path)

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        """What dpkg knows of, by name."""
        return read_packages(self.file("/var/lib/dpkg/status").content_string)

    @cached_property
    def changed_files(self) -> list[str]:
        """Files of packages that are missing or not as delivered."""
        return find_changed_files(self.tree)

    @cached_property
    def listed_files(self) -> set[str]:
        """Paths that packages say are theirs."""
        return listed_files(self.tree)

    @cached_property
    def users(self) -> Mapping[str, User]:
        """Users by name."""
        return read_users(self.file("/etc/passwd").content_string)

    @cached_property
    def groups(self) -> Mapping[str, Group]:
        """Groups by name."""
        return read_groups(self.file("/etc/group").content_string)

    @cached_property
    def shadow(self) -> Mapping[str, str]:
        """What stands for each user's password."""
        return read_shadow(self.file("/etc/shadow").content_string)

    @cached_property
    def foreign_programs(self) -> list[str]:
        """ELF files of another architecture, in the tree and in the initrds."""
        architecture = self.plan.recipe.architecture.value
        files = [entry for entry in self.tree.of_kind("file") if entry.size_bytes >= HEAD_BYTES]
        found = [entry.path for entry in files if is_foreign(entry.read(HEAD_BYTES), architecture)]
        return found + [
            f"{name}: {member.path}"
            for name, initrd in self.initrds.items()
            for member in initrd.values()
            if is_foreign(member.content[:HEAD_BYTES], architecture)
        ]

    def is_program(self, path: str) -> bool:
        """Say whether a path leads to an ELF file."""
        entry = self.tree.find(path)
        return entry is not None and is_elf(entry.read(HEAD_BYTES))

    # The kernel

    @cached_property
    def kernels(self) -> list[str]:
        """Versions of the kernels in /boot."""
        return sorted(entry.path.removeprefix("/boot/vmlinuz-") for entry in self.tree.glob("/boot/vmlinuz-*"))

    @cached_property
    def kernel(self) -> str:
        """Version of the only kernel."""
        if len(self.kernels) != 1:
            raise AssertionError(f"/boot has the kernels {self.kernels}")
        return self.kernels[0]

    @cached_property
    def kernel_options(self) -> Mapping[str, str]:
        """The kernel's configuration: y, m or a value by option, without CONFIG_."""
        text = self.file(f"/boot/config-{self.kernel}").content_string
        return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.MULTILINE))

    @cached_property
    def initrds(self) -> Mapping[str, Initrd]:
        """The unpacked initrds of /boot, by path."""
        return {entry.path: read_initrd(entry.read()) for entry in self.tree.glob("/boot/initrd.img-*")}

    @cached_property
    def initrd(self) -> Initrd:
        """The initrd of the only kernel."""
        return self.initrds[f"/boot/initrd.img-{self.kernel}"]
