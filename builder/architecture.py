# SPDX-License-Identifier: MIT
"""Architectures of boards: one row for each, which every part of the program reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

BITS_32, BITS_64 = 1, 2
"""ELF classes (elf.h)."""
OVMF, AAVMF = "/usr/share/OVMF", "/usr/share/AAVMF"


@dataclass(frozen=True)
class Machine:
    """What there is to know of an architecture."""

    title: str
    """For people, on the download page."""
    multiarch: str
    """Debian's directory of its libraries, below /usr/lib."""
    qemu: str
    """What QEMU calls it."""
    elf_class: int
    elf_machine: int
    """e_machine (elf.h)."""
    package: str
    """The Debian package of its QEMU for whole machines."""
    uname: str = ""
    """What the kernel calls it; given where KVM is used on it."""
    loader: str = ""
    """Its dynamic loader; given where native twins of foreign programs are made on it."""
    uefi: tuple[tuple[str, str], ...] = ()
    """Files of UEFI's code and variables, the first that are there; empty: none."""
    uefi_package: str = ""
    u_boot: str = "-bios"
    """QEMU's option that takes a U-Boot."""
    imager: str = ""
    """What Raspberry Pi Imager calls it; empty: nothing."""

    @property
    def qemu_system(self) -> str:
        """The program that runs whole machines."""
        return f"qemu-system-{self.qemu}"


class Architecture(StrEnum):
    """Debian's names of processor architectures."""

    row: Machine

    def __new__(cls, name: str, row: Machine | None = None) -> Self:
        assert row is not None  # Only so that Architecture("arm64"), which finds a member, has the right type.
        member = str.__new__(cls, name)
        member._value_ = name
        member.row = row
        return member

    AMD64 = (
        "amd64",
        Machine(
            title="64-bit x86",
            multiarch="x86_64-linux-gnu",
            qemu="x86_64",
            elf_class=BITS_64,
            elf_machine=62,
            package="qemu-system-x86",
            uname="x86_64",
            loader="/lib64/ld-linux-x86-64.so.2",
            uefi=(  # The larger 4 MiB builds where both exist.
                (f"{OVMF}/OVMF_CODE_4M.fd", f"{OVMF}/OVMF_VARS_4M.fd"),
                (f"{OVMF}/OVMF_CODE.fd", f"{OVMF}/OVMF_VARS.fd"),
            ),
            uefi_package="ovmf",
        ),
    )
    ARM64 = (
        "arm64",
        Machine(
            title="64-bit Arm",
            multiarch="aarch64-linux-gnu",
            qemu="aarch64",
            elf_class=BITS_64,
            elf_machine=183,
            package="qemu-system-arm",
            uname="aarch64",
            loader="/lib/ld-linux-aarch64.so.1",
            uefi=(
                (f"{AAVMF}/AAVMF_CODE.no-secboot.fd", f"{AAVMF}/AAVMF_VARS.fd"),
                (f"{AAVMF}/AAVMF_CODE.fd", f"{AAVMF}/AAVMF_VARS.fd"),
            ),
            uefi_package="qemu-efi-aarch64",
            imager="armv8",
        ),
    )
    ARMHF = (
        "armhf",
        Machine(
            title="32-bit Arm",
            multiarch="arm-linux-gnueabihf",
            qemu="arm",
            elf_class=BITS_32,
            elf_machine=40,
            package="qemu-system-arm",
            imager="armhf",
        ),
    )
    ARMEL = (
        "armel",
        Machine(
            title="older 32-bit Arm",
            multiarch="arm-linux-gnueabi",
            qemu="arm",
            elf_class=BITS_32,
            elf_machine=40,
            package="qemu-system-arm",
            imager="armel",
        ),
    )
    RISCV64 = (
        "riscv64",
        Machine(
            title="riscv64",
            multiarch="riscv64-linux-gnu",
            qemu="riscv64",
            elf_class=BITS_64,
            elf_machine=243,
            package="qemu-system-misc",
            u_boot="-kernel",  # Started from OpenSBI; on others U-Boot is the firmware.
        ),
    )


QEMU_PACKAGES = {each.row.qemu_system: each.row.package for each in Architecture}
"""Debian package of each QEMU for whole machines."""


def find_architecture(name: str) -> Architecture | None:
    """Return the architecture of a Debian name; None for one that boards do not have."""
    return next((each for each in Architecture if each == name), None)
