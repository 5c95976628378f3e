# SPDX-License-Identifier: MIT
"""Base of tables: an enum whose members are the names, and whose rows have the properties."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self


class RowEnum(StrEnum):
    """Names with a row each: `NAME = ("name", Row(…))`. A subclass declares the type of `row`."""

    row: Any

    def __new__(cls, name: str, row: Any = None) -> Self:
        assert row is not None  # The default is only for the type of RowEnum("name"), which looks up a member.
        member = str.__new__(cls, name)
        member._value_ = name
        member.row = row
        return member
