# SPDX-License-Identifier: MIT
"""One thing the doctor has to say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A fact about the machine; when it is not well, what to do about it."""

    area: str
    ok: bool
    text: str
    fix: str = ""
