# SPDX-License-Identifier: MIT
"""Phrases for messages. Without a library, because `plan` and `schema` start fast."""

from __future__ import annotations

from collections.abc import Iterable


def join_options(options: Iterable[str]) -> str:
    """Return "a, b or c", for a sentence; "no value" without options."""
    *others, last = [*options] or ["no value"]
    return f"{', '.join(others)} or {last}" if others else last
