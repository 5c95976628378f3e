# SPDX-License-Identifier: MIT
"""Check file names: a FAT must be able to store them, and mtools to write them.

Files are never renamed silently, because a boot loader opens them by name.
"""

from __future__ import annotations

from collections.abc import Sequence

FORBIDDEN = frozenset('"*/:<>?\\|')
PATTERN = frozenset("[]")
"""Allowed on a FAT, but a pattern for mtools."""
DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CLOCK$", *(f"COM{n}" for n in range(1, 10)), *(f"LPT{n}" for n in range(1, 10))]
)
LONGEST = 255


def check_names(folder: str, names: Sequence[str]) -> list[str]:
    """Return the problems with the names in one directory, one sentence each."""
    problems = [f"{folder}/{name!a}: {reason}" for name in names for reason in _find_faults(name)]
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.upper(), name)
        if other != name:
            problems.append(f"{folder}/{name} and {folder}/{other} are the same name on a FAT")
    return problems


def _find_faults(name: str) -> list[str]:
    faults = {
        "contains bytes that are not UTF-8": any(0xDC80 <= ord(letter) <= 0xDCFF for letter in name),
        "contains a character outside Unicode's first plane": any(ord(letter) > 0xFFFF for letter in name),
        'contains one of " * / : < > ? \\ | or a control character': any(
            letter in FORBIDDEN or ord(letter) < 32 or ord(letter) == 127 for letter in name
        ),
        "contains [ or ], which mtools reads as a pattern": bool(PATTERN & set(name)),
        "ends with a dot or a space": name.endswith((".", " ")),
        "is the name of a DOS device": name.partition(".")[0].upper() in DEVICES,
        f"is longer than {LONGEST} characters": len(name) > LONGEST,
    }
    return [fault for fault, is_so in faults.items() if is_so]
