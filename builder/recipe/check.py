# SPDX-License-Identifier: MIT
"""What a recipe's types cannot say: parts that do not go together.

Each check takes validated parts and yields findings: the path of the value to change, and what is wrong with it.
They run on whatever parts are valid, so that a mistyped locale does not hide a partition outside the disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from builder.recipe.boot import Boot
from builder.recipe.check_disk import Finding, check_blobs, check_table
from builder.recipe.check_users import check_locale, check_users
from builder.recipe.model import Archive, Docker, Filesystem, Kernel, Table
from builder.recipe.nodes import suggest
from builder.recipe.qemu import Qemu

Parts = Mapping[str, Any]
"""The valid ones of a recipe's top-level values, by key."""


def check_parts(parts: Parts) -> Iterator[Finding]:
    """Yield every finding of the checks whose parts are there."""
    for needed, check in _CHECKS:
        if all(name in parts for name in needed):
            yield from check(*(parts[name] for name in needed))


TOO_OLD = ("jessie", "stretch", "buster", "bullseye", "oldoldstable")
"""Suites whose systemd, cloud-init and kernels are older than what images are made of; OLDEST is not."""
OLDEST = "bookworm"


def check_archives(suite: str, archives: dict[str, Archive]) -> Iterator[Finding]:
    """The suite is not too old, and the archive called `debian` is there and has it."""
    if suite in TOO_OLD:
        yield ("suite",), f"found {suite}; allowed: {OLDEST}, which is the oldest, or a newer one"
    debian = archives.get("debian")
    if debian is None:
        found = ", ".join(archives)
        yield ("archives",), f"found {found}; needed: one called debian, which the system is made from"
    elif suite not in debian.suites:
        found = ", ".join(debian.suites)
        yield ("archives", "debian", "suites"), f"found {found}; needed: {suite}, the suite of the image"


def check_docker(docker: Docker, archives: dict[str, Archive]) -> Iterator[Finding]:
    """Docker's own archive does not meet another of its name."""
    if docker.source == "docker" and "docker" in archives:
        yield ("archives", "docker"), "found an archive called docker, the name of what `docker: source: docker` adds"


def check_packages(
    packages: dict[str, list[str]], kernel: Kernel, archives: dict[str, Archive], docker: Docker
) -> Iterator[Finding]:
    """A package is asked of one suite only, and of one that an archive has."""
    suites = {suite for archive in archives.values() for suite in archive.suites}
    asked: dict[str, str] = {}
    groups = [(("kernel", "packages"), kernel.packages)]
    groups += [(("packages", name), names) for name, names in packages.items()]
    for path, names in groups:
        for index, text in enumerate(names):
            name, _, suite = text.partition("/")
            if suite and suite not in suites:
                allowed = ", ".join(sorted(suites))
                yield (*path, index), f"found the suite {suite!r}; allowed: {allowed}{suggest(suite, suites)}"
            if asked.setdefault(name, text) != text:
                yield (*path, index), f"found {text!r}, which is asked for as {asked[name]!r} too; keep one"
    if not kernel.packages and not kernel.debs:
        yield ("kernel",), "found no kernel; needed: `packages` or `debs`"


def check_boot(boot: Boot, table: Table) -> Iterator[Finding]:
    """The boot method has the partition it starts from, and the command line leaves root= to the builder."""
    for group, text in boot.cmdline.items():
        if any(word.startswith("root=") for word in text.split()):
            yield ("boot", "cmdline", group), "found root=; leave it out, the builder knows the partition"
    fats = [partition for partition in table.partitions if partition.filesystem is Filesystem.FAT32]
    if boot.method == "efi" and not any("esp" in partition.flags for partition in fats):
        yield ("boot", "method"), "found efi; needed: a fat32 partition with `flags: [esp]`"
    if boot.method in ("flash-kernel", "none") and not any(partition.mount == "/boot/firmware" for partition in fats):
        yield ("boot", "method"), f"found {boot.method}; needed: a fat32 partition mounted at /boot/firmware"
    if boot.method == "raspi" and not any(partition.mount == "/boot/firmware" for partition in fats):
        yield ("boot", "method"), "found raspi; needed: a fat32 partition mounted at /boot/firmware"


OF_START = frozenset(
    [
        *("kernel", "initramfs", "ramfsfile", "auto_initramfs", "boot_ramdisk", "cmdline", "disable_commandline_tags"),
        *("include", "os_prefix", "boot_partition", "tryboot_a_b", "start_file", "fixup_file", "armstub"),
    ]
)
"""Keys of config.txt that lead the firmware to other files than raspi-firmware writes and specs look at
(https://www.raspberrypi.com/documentation/computers/config_txt.html)."""


def check_config(boot: Boot) -> Iterator[Finding]:
    """Lines of config.txt leave it to the image which kernel starts, and with what words."""
    for group, text in boot.config.items():
        for line in text.split("\n"):
            key = re.split(r"[=\s]", line.strip(), maxsplit=1)[0].lower()
            if key in OF_START:
                yield (
                    ("boot", "config", group),
                    f"found a line with {key}; allowed: lines that change nothing of what starts. The image says which "
                    "kernel that is, and `cmdline` what it is told",
                )


def check_qemu(qemu: Qemu | None, boot: Boot) -> Iterator[Finding]:
    """Where QEMU gets its kernel from the image, the image says which one."""
    if qemu and qemu.firmware == "kernel" and boot.method != "raspi":
        yield ("qemu", "firmware"), f"found kernel; allowed with boot method {boot.method}: uefi, card, u-boot"


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Finding]]], ...] = (
    (("suite", "archives"), check_archives),
    (("docker", "archives"), check_docker),
    (("packages", "kernel", "archives", "docker"), check_packages),
    (("boot", "table"), check_boot),
    (("boot",), check_config),
    (("table",), check_table),
    (("qemu", "boot"), check_qemu),
    (("users",), check_users),
    (("locale",), check_locale),
    (("blobs", "table"), check_blobs),
)
"""Which parts each check needs, in the order it takes them."""
