# SPDX-License-Identifier: MIT
"""Table of processor architectures: one row for each, used by all parts of the program."""

from __future__ import annotations

from dataclasses import dataclass

from builder.rows import RowEnum

BITS_32, BITS_64 = 1, 2
"""ELF classes (elf.h)."""
OVMF, AAVMF = "/usr/share/OVMF", "/usr/share/AAVMF"


@dataclass(frozen=True)
class ArchitectureRow:
    """Properties of an architecture."""

    title: str
    """Display name on the download page."""
    multiarch: str
    """Debian's directory for its libraries, below /usr/lib."""
    qemu: str
    """Name in QEMU."""
    elf_class: int
    elf_machine: int
    """e_machine (elf.h)."""
    package: str
    """Debian package of its QEMU system emulator."""
    uname: str = ""
    """Name in the kernel (uname -m); set if KVM is used on this architecture."""
    loader: str = ""
    """Dynamic loader; set if native twins of foreign programs are made on this architecture."""
    uefi: tuple[tuple[str, str], ...] = ()
    """Pairs of UEFI code and variables; the first existing pair is used. Empty: no UEFI."""
    uefi_package: str = ""
    u_boot: str = "-bios"
    """QEMU option that loads a U-Boot."""
    imager: str = ""
    """Name in Raspberry Pi Imager; empty if it has none."""

    @property
    def qemu_system(self) -> str:
        """Program name of the QEMU system emulator."""
        return f"qemu-system-{self.qemu}"


class Architecture(RowEnum):
    """Debian's names of processor architectures."""

    row: ArchitectureRow

    AMD64 = (
        "amd64",
        ArchitectureRow(
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
        ArchitectureRow(
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
        ArchitectureRow(
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
        ArchitectureRow(
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
        ArchitectureRow(
            title="riscv64",
            multiarch="riscv64-linux-gnu",
            qemu="riscv64",
            elf_class=BITS_64,
            elf_machine=243,
            package="qemu-system-misc",
            u_boot="-kernel",  # OpenSBI starts U-Boot; on other architectures U-Boot is the firmware.
        ),
    )


QEMU_PACKAGES = {architecture.row.qemu_system: architecture.row.package for architecture in Architecture}
"""Debian package of each QEMU system emulator."""


def find_architecture(name: str) -> Architecture | None:
    """Return the architecture with a Debian name; None if boards do not support it."""
    return next((architecture for architecture in Architecture if architecture == name), None)
