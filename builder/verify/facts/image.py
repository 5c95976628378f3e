# SPDX-License-Identifier: MIT
"""The image under test, read once: what a spec asks about it. Nothing of it is mounted, run or changed.

Every property is found when it is first asked for and then kept, because hundreds of specs ask.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path

from builder.disk.accounts import Group, User, read_groups, read_shadow, read_users
from builder.disk.dpkg import Package, find_changed_files, read_diverted, read_owners, read_packages, read_sums
from builder.disk.elf import HEAD_BYTES, is_elf, is_foreign
from builder.disk.entry import Entry
from builder.disk.ext4 import read_ext4
from builder.disk.fat import read_fat
from builder.disk.filesystems import Facts, check_filesystem, read_facts
from builder.disk.filetree import File, Tree
from builder.disk.fstab import Mount, read_fstab
from builder.disk.join import Part, join
from builder.disk.partitions import Partition, Table, read_table
from builder.disk.region import Region
from builder.errors import BoardwrightError
from builder.plan.model import Plan, Slot
from builder.recipe.model import Filesystem
from builder.system.paths import merge_into_usr
from builder.system.process import Result, run
from builder.units import SECTOR
from builder.verify.facts.boot import BootEntry, read_boot_entry
from builder.verify.facts.cloud import Cloud
from builder.verify.facts.kernel import Kernels
from builder.verify.facts.rights import Rights
from builder.verify.facts.services import Services

FOR_OTHER_PROCESSORS = ("/usr/lib/firmware/", "/usr/lib/raspi-firmware/", "/usr/lib/u-boot/", "/boot/")
"""Where ELF files are that this system never runs: they are loaded into radios and graphics cores, or start boards."""
UIMAGE_MAGIC, UIMAGE_HEADER = bytes.fromhex("27051956"), 64
"""U-Boot's legacy image format (include/image.h): its mark, and the length of its header."""
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin")


class Subject(Kernels):
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

    def partition_at(self, mount: str) -> Partition:
        """Return the row of the table that the plan mounts there."""
        return self.partition(next(slot for slot in self.plan.disk.slots if slot.mount == mount))

    def place(self, slot: Slot) -> Region:
        """Return where the filesystem of a slot lies."""
        return Region(self.raw, self.partition(slot).offset_bytes)

    @cache  # noqa: B019 - there is one subject, and it lives as long as the run
    def filesystem(self, slot: Slot) -> Facts:
        """Return what the filesystem of a slot says of itself."""
        return read_facts(self.place(slot))

    def fsck(self, slot: Slot) -> Result:
        """Return what the checker of its filesystem says of a slot."""
        return check_filesystem(self.place(slot), self.partition(slot).sectors * SECTOR, self._scratch / "fsck.copy")

    def read_disk(self, offset_bytes: int, size_bytes: int) -> bytes:
        """Return bytes of the disk."""
        return Region(self.raw, 0).read(offset_bytes, size_bytes)

    # The system

    @property
    def tree(self) -> Tree:  # type: ignore[override] # a property here, so that it is read when it is asked for
        """All filesystems in their places, the root filesystem first."""
        if isinstance(self._tree, str):
            # A new one each time: one that is raised again carries the frames of all who met it before.
            raise AssertionError(self._tree)
        return self._tree

    @cached_property
    def _tree(self) -> Tree | str:
        """The tree, or why it cannot be read: found out once, and not by each of hundreds of specs."""
        slots = self.plan.disk.slots
        try:
            return join(
                Part(slot.mount, slot.filesystem is Filesystem.FAT32, partial(self._read_slot, slot)) for slot in slots
            )
        except (BoardwrightError, AssertionError, ValueError) as error:
            return f"the filesystems cannot be read: {error}"

    def _read_slot(self, slot: Slot, mount: str) -> list[Entry]:
        if slot.filesystem is Filesystem.FAT32:
            return read_fat(self.place(slot), mount)
        top = mount.rstrip("/")
        entries = read_ext4(self.place(slot))
        return [replace(entry, path=(top + entry.path).rstrip("/")) for entry in entries] if top else entries

    def file(self, path: str) -> File:
        """Return what is asked about a path of the system."""
        return self.tree.file(path)

    @cached_property
    def os_release(self) -> Mapping[str, str]:
        """The values of os-release(5)."""
        text = self.file("/etc/os-release").content_string
        return {key: value for key, _, value in re.findall(r'^(\w+)=("?)(.*)\2$', text, re.MULTILINE)}

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
    def units(self) -> Services:
        """The units of systemd."""
        return Services(self.tree)

    @cached_property
    def cloud(self) -> Cloud:
        """The files of cloud-init."""
        return Cloud(self.tree)

    @cached_property
    def sshd_lines(self) -> list[str]:
        """What is configured of sshd, its drop-ins first."""
        files = [*self.tree.glob("/etc/ssh/sshd_config.d/*.conf"), *self.tree.glob("/etc/ssh/sshd_config")]
        return [line for file in files for line in self.file(file.path).lines]

    # Packages and programs

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        """What dpkg knows of, by name."""
        return read_packages(self.file("/var/lib/dpkg/status").content_string)

    @cached_property
    def rights(self) -> Rights:
        """Who may do what, and who has asked for it."""
        return Rights(self)

    @cached_property
    def changed_files(self) -> Mapping[str, str]:
        """Files of packages that are missing or not as delivered: the reason by path."""
        return find_changed_files(self.tree)

    @cached_property
    def summed(self) -> frozenset[str]:
        """Paths of files whose MD5 dpkg has, merged into /usr."""
        return frozenset(merge_into_usr(path) for path, _ in read_sums(self.tree))

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The package of each path, merged into /usr, that one says is its own."""
        return read_owners(self.tree)

    @cached_property
    def listed_files(self) -> frozenset[str]:
        """Paths that packages say are theirs, merged into /usr, and where their files were diverted to."""
        return frozenset({*self.owners, *read_diverted(self.tree)})

    @cached_property
    def apt_sources(self) -> Mapping[str, str]:
        """The text of each file of APT's sources, by path."""
        places = [
            *self.tree.glob("/etc/apt/sources.list.d/*.sources"),
            *self.tree.glob("/etc/apt/sources.list.d/*.list"),
        ]
        return {entry.path: entry.read().decode(errors="replace") for entry in places}

    @cached_property
    def foreign_programs(self) -> list[str]:
        """ELF files of another architecture, in the tree and in the initrds, but those that packages bring."""
        architecture = self.plan.recipe.architecture.value
        files = [entry for entry in self.tree.of_kind("file") if entry.size_bytes >= HEAD_BYTES]
        found = [
            entry.path
            for entry in files
            if not entry.path.startswith(FOR_OTHER_PROCESSORS) and is_foreign(entry.read(HEAD_BYTES), architecture)
        ]
        changed = frozenset(map(merge_into_usr, self.changed_files)) if found else ()
        # What is of a package, and as that brings it, is as it should be.
        return [path for path in found if path in changed or path not in self.owners] + [
            f"{name}: {member.path}"
            for name, initrd in self.initrds.items()
            for member in initrd.values()
            if is_foreign(member.content[:HEAD_BYTES], architecture)
        ]

    @cached_property
    def unlisted_programs(self) -> list[str]:
        """Files in the system's path that no package says are its own."""
        files = (entry for place in PATH for entry in self.tree.glob(f"{place}/*") if entry.kind == "file")
        return [entry.path for entry in files if entry.path not in self.listed_files]

    def is_program(self, path: str) -> bool:
        """Say whether a path leads to an ELF file."""
        entry = self.tree.find(path)
        return entry is not None and is_elf(entry.read(HEAD_BYTES))

    def find_program(self, name: str, *more: str) -> str | None:
        """Return where a program is that anybody may run: in the system's path or in `more` directories."""
        paths = (f"{place}/{name}" for place in (*PATH, *more))
        return next((path for path in paths if (entry := self.tree.find(path)) and entry.mode & 0o001), None)

    # The boot chain

    @cached_property
    def boot_mount(self) -> str:
        """Where the boot partition is mounted; /boot where there is none."""
        return next((slot.mount for slot in self.plan.disk.slots if slot.mount.startswith("/boot")), "/boot")

    @cached_property
    def boot_entry(self) -> BootEntry:
        """What the boot loader starts."""
        return read_boot_entry(self.tree, self.plan, self.boot_mount)

    @cached_property
    def started_kernel(self) -> bytes:  # type: ignore[override] # read when it is asked for, as the tree is
        """The file that the boot loader reads as the kernel, without U-Boot's header."""
        return self.unwrapped(self.boot_entry.kernel)

    def unwrapped(self, path: str) -> bytes:
        """Return the content of a file, without the header that old U-Boots want before a kernel and an initrd."""
        content = self.file(path).content
        return content[UIMAGE_HEADER:] if content.startswith(UIMAGE_MAGIC) else content

    @property
    def cmdline(self) -> list[str]:
        """The words that the boot loader gives the kernel."""
        return list(self.boot_entry.cmdline)

    @cached_property
    def fstab(self) -> Mapping[str, Mount]:
        """Lines of fstab by mount point."""
        return read_fstab(self.file("/etc/fstab").content_string)

    def on_boot(self, path: str) -> bytes:
        """Return the content of the boot partition's file of that name."""
        return self.file(f"{self.boot_mount}/{path.rpartition('/')[2]}").content
