# SPDX-License-Identifier: MIT
"""Ask git about a tag: its commit, and the commits since the previous release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.system.git import ask_git

MOST = 200
"""Maximum number of commits in release notes."""


@dataclass(frozen=True)
class Commit:
    """A commit that is not a merge."""

    short: str
    subject: str


def find_tag_object(directory: Path, tag: str) -> str:
    """Return the SHA of a tag in the checkout that holds `directory`: of its commit, or of a tag with a message."""
    return ask_git(directory, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}") or ""


def find_commit(directory: Path, tag: str) -> str:
    """Return the SHA of a tag's commit; "" if git has no such tag."""
    return ask_git(directory, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}") or ""


def list_commits(directory: Path, before: str, tag: str) -> list[Commit] | None:
    """Return the commits between two tags, newest first; None if git does not know both tags."""
    if not find_commit(directory, before) or not find_commit(directory, tag):
        return None
    span = f"refs/tags/{before}..refs/tags/{tag}"
    arguments = ("log", "--no-merges", f"--max-count={MOST}", "--format=%h%x09%s", span)
    rows = [line.split("\t", 1) for line in (ask_git(directory, *arguments) or "").splitlines()]
    return [Commit(row[0], row[1]) for row in rows if len(row) == 2]
