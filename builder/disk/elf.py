# SPDX-License-Identifier: MIT
"""The architecture of an ELF file, by its first bytes (elf.h)."""

from __future__ import annotations

from builder.architecture import Architecture

HEAD_BYTES = 20
FREE_OF_MACHINE = (0, 247)
"""EM_NONE, data such as Guile's; EM_BPF, which runs in any kernel."""


def is_elf(head: bytes) -> bool:
    """Say whether a file that starts so is an ELF."""
    return head.startswith(b"\x7fELF") and len(head) >= HEAD_BYTES


def is_foreign(head: bytes, architecture: str) -> bool:
    """Say whether a file that starts so is an ELF of another architecture than Debian's of that name."""
    row = Architecture(architecture).row
    machine = int.from_bytes(head[18:20], "little" if head[5:6] == b"\x01" else "big")
    return is_elf(head) and machine not in FREE_OF_MACHINE and (head[4], machine) != (row.elf_class, row.elf_machine)
