# SPDX-License-Identifier: MIT
"""Table of CI systems: one row for each, used by all parts of the program. A new one is a template and a row.

A template is the file itself, with `%{name}` where it depends on the repository. `%%` is a percent sign. The names are
those of `render` in builder/ci/install.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


@dataclass(frozen=True)
class CiProviderRow:
    """Properties of a CI system."""

    path: str
    """Path of its file in the repository."""
    template: str
    """File name of its template, in the directory of this module."""
    board_line: str = ""
    """Template of a line for each board, if the file names them."""


class CiProvider(StrEnum):
    """Name of a CI system, as in options; `row` has its properties."""

    row: CiProviderRow

    def __new__(cls, name: str, row: CiProviderRow | None = None) -> Self:
        assert row is not None  # The default is only for the type of CiProvider("github"), which looks up a member.
        member = str.__new__(cls, name)
        member._value_ = name
        member.row = row
        return member

    GITHUB = ("github", CiProviderRow(".github/workflows/boardwright.yml", "github.yml"))
    GITLAB = ("gitlab", CiProviderRow(".gitlab-ci.yml", "gitlab.yml"))
    TRAVIS = (
        "travis",
        CiProviderRow(
            ".travis.yml",
            "travis.yml",
            board_line='    - {<<: *build, name: "%{board}", env: BOARD=%{board},'
            ' workspaces: {create: {name: "%{board}", paths: [%{prefix}dist]}}}',
        ),
    )
