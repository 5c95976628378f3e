# SPDX-License-Identifier: MIT
"""Table of CI systems: one row for each, used by all parts of the program. A new one is a template and a row.

A template is the file itself, with `%{name}` where it depends on the repository. `%%` is a percent sign. The names are
those of `render` in builder/ci/install.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.rows import RowEnum


@dataclass(frozen=True)
class CiProviderRow:
    """Properties of a CI system."""

    path: str
    """Path of its file in the repository."""
    template: str
    """File name of its template, in the directory of this module."""
    board_line: str = ""
    """Template of a line for each board, if the file names them."""


class CiProvider(RowEnum):
    """Name of a CI system, as in options; `row` has its properties."""

    row: CiProviderRow

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
