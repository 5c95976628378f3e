# SPDX-License-Identifier: MIT
"""One result of the doctor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A fact about the machine and, if it is a problem, how to fix it."""

    area: str
    ok: bool
    text: str
    fix: str = ""
