# SPDX-License-Identifier: MIT
"""Check that the parts of a recipe fit together, which types cannot express.

Each check takes validated parts and yields findings: the path of the value to change, and the mistake. The checks run
on all valid parts, so a mistyped locale does not hide a partition outside the disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from builder.filesystem import Filesystem
from builder.recipe.boot import Boot
from builder.recipe.check_disk import Finding, check_blobs, check_table
from builder.recipe.check_users import check_locale, check_users
from builder.recipe.model import Archive, Docker, Kernel, Table
from builder.recipe.nodes import suggest
from builder.recipe.phrases import join_options
from builder.recipe.qemu import Qemu

Parts = Mapping[str, Any]
"""The valid top-level values of a recipe, by key."""


def check_parts(parts: Parts) -> Iterator[Finding]:
    """Yield the findings of all checks whose parts are valid."""
    for needed, check in _CHECKS:
        if all(name in parts for name in needed):
            yield from check(*(parts[name] for name in needed))


TOO_OLD = ("jessie", "stretch", "buster", "bullseye", "oldoldstable")
"""Suites whose systemd, cloud-init and kernels are too old; OLDEST is the first supported one."""
OLDEST = "bookworm"


def check_archives(suite: str, archives: dict[str, Archive]) -> Iterator[Finding]:
    """Check that the suite is new enough, and that the archive called `debian` has it."""
    if suite in TOO_OLD:
        yield ("suite",), f"found {suite}; expected {OLDEST} or newer"
    debian = archives.get("debian")
    if debian is None:
        names = ", ".join(archives)
        yield ("archives",), f"found {names}; expected one called debian, which the system is made from"
    elif suite not in debian.suites:
        suites = ", ".join(debian.suites)
        yield ("archives", "debian", "suites"), f"found {suites}; expected {suite} too, the suite of the image"


def check_docker(docker: Docker, archives: dict[str, Archive]) -> Iterator[Finding]:
    """Check that no archive has the name of Docker's own."""
    if docker.source == "docker" and "docker" in archives:
        yield (
            ("archives", "docker"),
            "found an archive called docker; expected another name, with `docker.source: docker`",
        )


def check_packages(
    packages: dict[str, list[str]], kernel: Kernel, archives: dict[str, Archive], docker: Docker
) -> Iterator[Finding]:
    """Check that each package is asked of one suite only, which an archive has, and that there is a kernel."""
    suites = {suite for archive in archives.values() for suite in archive.suites}
    asked: dict[str, str] = {}
    groups = [(("kernel", "packages"), kernel.packages)]
    groups += [(("packages", name), names) for name, names in packages.items()]
    for path, names in groups:
        for index, text in enumerate(names):
            name, _, suite = text.partition("/")
            if suite and suite not in suites:
                expected = join_options(sorted(suites))
                yield (*path, index), f"found the suite {suite!r}; expected {expected}{suggest(suite, suites)}"
            if asked.setdefault(name, text) != text:
                yield (*path, index), f"found {text!r} and elsewhere {asked[name]!r}; expected one of them"
    if not kernel.packages and not kernel.debs:
        yield ("kernel",), "found no kernel; expected `packages` or `debs`"


def check_boot(boot: Boot, table: Table) -> Iterator[Finding]:
    """Check that the boot method has its partition, and that the command line leaves root= to the build."""
    for group, text in boot.cmdline.items():
        if any(word.startswith("root=") for word in text.split()):
            yield ("boot", "cmdline", group), "found root=; expected a line without, because the build adds it"
    fats = [partition for partition in table.partitions if partition.filesystem is Filesystem.FAT32]
    row = boot.method.row
    if row.needs_esp and not any("esp" in partition.flags for partition in fats):
        yield ("boot", "method"), f"found {boot.method}; expected a fat32 partition with `flags: [esp]`"
    if row.needs_firmware and not any(partition.mount == "/boot/firmware" for partition in fats):
        yield ("boot", "method"), f"found {boot.method}; expected a fat32 partition mounted at /boot/firmware"


OF_START = frozenset(
    [
        *("kernel", "initramfs", "ramfsfile", "auto_initramfs", "boot_ramdisk", "cmdline", "disable_commandline_tags"),
        *("include", "os_prefix", "boot_partition", "tryboot_a_b", "start_file", "fixup_file", "armstub"),
    ]
)
"""Keys of config.txt that make the firmware load other files than those that raspi-firmware writes and specs check
(https://www.raspberrypi.com/documentation/computers/config_txt.html)."""


def check_config(boot: Boot) -> Iterator[Finding]:
    """Check that lines of config.txt change neither the kernel nor its command line."""
    for group, text in boot.config.items():
        for line in text.split("\n"):
            key = re.split(r"[=\s]", line.strip(), maxsplit=1)[0].lower()
            if key in OF_START:
                yield (
                    ("boot", "config", group),
                    f"found a line with {key}; expected lines that change neither the kernel nor its files. For "
                    "parameters of the kernel use `boot.cmdline`",
                )


def check_qemu(qemu: Qemu | None, boot: Boot) -> Iterator[Finding]:
    """Check that config.txt names the kernel, if QEMU is to start it without the boot chain."""
    if qemu and qemu.firmware == "kernel" and not boot.method.row.names_kernel:
        yield ("qemu", "firmware"), f"found kernel; expected uefi, card or u-boot with `boot.method: {boot.method}`"


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
"""The checks, each with the keys of its arguments in order."""
