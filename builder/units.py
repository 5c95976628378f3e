# SPDX-License-Identifier: MIT
"""Read, show and align sizes. Bytes are `int`; a sector is 512 bytes."""

from __future__ import annotations

import re

SECTOR = 512
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_UNITS = {"": 1, "B": 1, "s": SECTOR, "KiB": KIB, "MiB": MIB, "GiB": GIB}
SIZE = re.compile(r"([0-9]{1,15}) *([A-Za-z]*)")


def load_size(text: str) -> int:
    """Return the bytes of "512MiB", "8KiB", "16s" (sectors) or "4096".

    Raises ValueError, which names the expected form. Decimal units (MB, GB) are refused. They have two meanings, which
    differ by up to 7 %, so an image might not fit on a card.
    """
    match = SIZE.fullmatch(text.strip(" "))
    if not match or match[2] not in _UNITS:
        raise ValueError(f"found {text[:40]!r}; expected a whole number with KiB, MiB, GiB or s (512-byte sectors)")
    return int(match[1]) * _UNITS[match[2]]


def render_size(size_bytes: int) -> str:
    """Return a size to show: "1.3 GiB", "512 MiB", "17 B"."""
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size_bytes} B"


def align_up(value: int, step: int) -> int:
    """Return the smallest multiple of `step` that is at least `value`."""
    return -(-value // step) * step
