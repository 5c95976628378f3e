# SPDX-License-Identifier: MIT
"""The image under test. It is only read: never mounted, started or changed.

Each property is computed at its first use and cached, because hundreds of specs use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property, partial
from pathlib import Path

from builder.boot_methods.model import BootEntry
from builder.boot_methods.table import read_boot_entry
from builder.disk.accounts import Account, Group, read_groups, read_shadow, read_users
from builder.disk.dpkg import DpkgPackage, find_changed_files, read_diverted, read_owners, read_packages, read_sums
from builder.disk.elf import HEAD_BYTES, is_elf, is_foreign
from builder.disk.entry import Entry
from builder.disk.filetree import File, FileTree
from builder.disk.fstab import Mount, read_fstab
from builder.disk.join import MountedPart, join
from builder.disk.partitions import DiskPartition, DiskTable, read_table
from builder.disk.region import Region
from builder.errors import BoardwrightError
from builder.filesystems.model import FilesystemFacts
from builder.filesystems.table import DRIVERS, read_facts
from builder.plan.model import Plan, Slot
from builder.system.paths import merge_into_usr
from builder.system.process import Result, run
from builder.units import SECTOR
from builder.verify.facts.cloud import Cloud
from builder.verify.facts.kernel import Kernels
from builder.verify.facts.rights import Rights
from builder.verify.facts.services import Services
from builder.verify.parametrize import laid_files

FOR_OTHER_PROCESSORS = ("/usr/lib/firmware/", "/usr/lib/raspi-firmware/", "/usr/lib/u-boot/", "/boot/")
"""Directories of ELF files that this system never runs: firmware of radios and graphics cores, boot loaders."""
UIMAGE_MAGIC, UIMAGE_HEADER = bytes.fromhex("27051956"), 64
"""U-Boot's legacy image format (include/image.h): magic number and length of the header."""
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin")


class ImageFacts(Kernels):
    """An image and its plan, which knows the mount points of its filesystems."""

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
    def table(self) -> DiskTable:
        """The partition table."""
        return read_table(self.raw)

    @cached_property
    def table_check(self) -> Result:
        """Result of sfdisk's check of the table."""
        return run(["sfdisk", "--verify", self.raw], ok=range(256))

    def partition(self, slot: Slot) -> DiskPartition:
        """Return the partition of a slot of the plan."""
        partition = next((row for row in self.table.partitions if row.number == slot.number), None)
        if partition is None:
            raise AssertionError(f"the table has no partition {slot.number}")
        return partition

    def partition_at(self, mount: str) -> DiskPartition:
        """Return the partition that the plan mounts at `mount`."""
        return self.partition(next(slot for slot in self.plan.disk.slots if slot.mount == mount))

    def place(self, slot: Slot) -> Region:
        """Return where the filesystem of a slot lies."""
        return Region(self.raw, self.partition(slot).offset_bytes)

    @cache  # noqa: B019 - there is one subject, and it lives as long as the run
    def filesystem(self, slot: Slot) -> FilesystemFacts:
        """Return the properties of a slot's filesystem: label, id and the like."""
        return read_facts(self.place(slot))

    def fsck(self, slot: Slot) -> Result:
        """Check the filesystem of a slot with fsck and return the result."""
        size_bytes = self.partition(slot).sectors * SECTOR
        return DRIVERS[slot.filesystem].fsck(self.place(slot), size_bytes, self._scratch / "fsck.copy")

    def read_disk(self, offset_bytes: int, size_bytes: int) -> bytes:
        """Return bytes of the disk."""
        return Region(self.raw, 0).read(offset_bytes, size_bytes)

    # The system

    @property
    def tree(self) -> FileTree:  # type: ignore[override] # a property here, so that it is read when it is asked for
        """All filesystems at their mount points, the root filesystem first."""
        if isinstance(self._tree, str):
            # A new exception each time: one that is raised again collects the frames of all earlier specs.
            raise AssertionError(self._tree)
        return self._tree

    @cached_property
    def _tree(self) -> FileTree | str:
        """The tree, or the reason why it cannot be read. It is read once, not by each of hundreds of specs."""
        slots = self.plan.disk.slots
        try:
            return join(
                MountedPart(slot.mount, slot.filesystem.row.ignores_case, partial(self._read_slot, slot))
                for slot in slots
            )
        except (BoardwrightError, AssertionError, ValueError) as error:
            return f"the filesystems cannot be read: {error}"

    def _read_slot(self, slot: Slot, mount: str) -> list[Entry]:
        return DRIVERS[slot.filesystem].read_entries(self.place(slot), mount)

    def file(self, path: str) -> File:
        """Return the file at a path of the system."""
        return self.tree.file(path)

    @cached_property
    def os_release(self) -> Mapping[str, str]:
        """The values of os-release(5)."""
        text = self.file("/etc/os-release").content_string
        return {key: value for key, _, value in re.findall(r'^(\w+)=("?)(.*)\2$', text, re.MULTILINE)}

    @cached_property
    def users(self) -> Mapping[str, Account]:
        """Users by name."""
        return read_users(self.file("/etc/passwd").content_string)

    @cached_property
    def groups(self) -> Mapping[str, Group]:
        """Groups by name."""
        return read_groups(self.file("/etc/group").content_string)

    @cached_property
    def shadow(self) -> Mapping[str, str]:
        """The password field of each user in /etc/shadow."""
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
        """Lines of sshd's configuration, drop-ins first."""
        files = [*self.tree.glob("/etc/ssh/sshd_config.d/*.conf"), *self.tree.glob("/etc/ssh/sshd_config")]
        return [line for file in files for line in self.file(file.path).lines]

    # Packages and programs

    @cached_property
    def packages(self) -> Mapping[str, DpkgPackage]:
        """Packages that dpkg knows, by name."""
        return read_packages(self.file("/var/lib/dpkg/status").content_string)

    @cached_property
    def rights(self) -> Rights:
        """Set-id files, logins and other rights, compared with packages and recipe."""
        return Rights(self)

    @cached_property
    def changed_files(self) -> Mapping[str, str]:
        """Files of packages that are missing or changed: the reason by path."""
        return find_changed_files(self.tree)

    @cached_property
    def summed(self) -> frozenset[str]:
        """Paths of files whose MD5 dpkg has, merged into /usr."""
        return frozenset(merge_into_usr(path) for path, _ in read_sums(self.tree))

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The package that owns each path; paths are merged into /usr."""
        return read_owners(self.tree)

    @cached_property
    def listed_files(self) -> frozenset[str]:
        """Paths that packages own, merged into /usr, and the paths that their files were diverted to."""
        return frozenset({*self.owners, *read_diverted(self.tree)})

    @cached_property
    def apt_sources(self) -> Mapping[str, str]:
        """The text of each file of APT's sources, by path."""
        entries = [
            *self.tree.glob("/etc/apt/sources.list.d/*.sources"),
            *self.tree.glob("/etc/apt/sources.list.d/*.list"),
        ]
        return {entry.path: entry.read().decode(errors="replace") for entry in entries}

    @cached_property
    def foreign_programs(self) -> list[str]:
        """ELF files of another architecture, in the tree and in the initrds, except those of packages."""
        architecture = self.plan.recipe.architecture.value
        files = [entry for entry in self.tree.of_kind("file") if entry.size_bytes >= HEAD_BYTES]
        foreign = [
            entry.path
            for entry in files
            if not entry.path.startswith(FOR_OTHER_PROCESSORS) and is_foreign(entry.read(HEAD_BYTES), architecture)
        ]
        changed = frozenset(map(merge_into_usr, self.changed_files)) if foreign else ()
        # An unchanged file of a package is correct.
        return [path for path in foreign if path in changed or path not in self.owners] + [
            f"{name}: {member.path}"
            for name, initrd in self.initrds.items()
            for member in initrd.values()
            if is_foreign(member.content[:HEAD_BYTES], architecture)
        ]

    @cached_property
    def unlisted_programs(self) -> list[str]:
        """Files in the system's PATH that no package owns."""
        files = (entry for directory in PATH for entry in self.tree.glob(f"{directory}/*") if entry.kind == "file")
        return [entry.path for entry in files if entry.path not in self.listed_files]

    def is_program(self, path: str) -> bool:
        """Return whether a path leads to an ELF file."""
        entry = self.tree.find(path)
        return entry is not None and is_elf(entry.read(HEAD_BYTES))

    def find_program(self, name: str, *more: str) -> str | None:
        """Return the path of a program that every user may run, in the system's PATH or `more` directories."""
        paths = (f"{directory}/{name}" for directory in (*PATH, *more))
        return next((path for path in paths if (entry := self.tree.find(path)) and entry.mode & 0o001), None)

    # The boot chain

    @cached_property
    def boot_mount(self) -> str:
        """Mount point of the boot partition; /boot if there is none."""
        return next((slot.mount for slot in self.plan.disk.slots if slot.mount.startswith("/boot")), "/boot")

    @cached_property
    def boot_entry(self) -> BootEntry:
        """Kernel, initrd and command line that the boot loader starts."""
        return read_boot_entry(self.tree, self.plan, self.boot_mount, laid_files(self.plan))

    @cached_property
    def started_kernel(self) -> bytes:  # type: ignore[override] # read when it is asked for, as the tree is
        """Content of the boot loader's kernel file, without U-Boot's header."""
        return self.unwrapped(self.boot_entry.kernel)

    def unwrapped(self, path: str) -> bytes:
        """Return the content of a file without the header that old versions of U-Boot need on kernel and initrd."""
        content = self.file(path).content
        return content[UIMAGE_HEADER:] if content.startswith(UIMAGE_MAGIC) else content

    @property
    def cmdline(self) -> list[str]:
        """Parameters of the kernel's command line, as the boot loader passes them."""
        return list(self.boot_entry.cmdline)

    @cached_property
    def fstab(self) -> Mapping[str, Mount]:
        """Lines of fstab by mount point."""
        return read_fstab(self.file("/etc/fstab").content_string)

    def on_boot(self, path: str) -> bytes:
        """Return the content of the boot partition's file with the name of `path`."""
        return self.file(f"{self.boot_mount}/{path.rpartition('/')[2]}").content
