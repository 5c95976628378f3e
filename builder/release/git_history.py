# SPDX-License-Identifier: MIT
"""What git says of a tag: the commit, and what was done since the release before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.system.git import ask_git

MOST = 200
"""Commits that notes name."""


@dataclass(frozen=True)
class Commit:
    """A commit, without those that only join two others."""

    short: str
    subject: str


def find_tag_object(directory: Path, tag: str) -> str:
    """Return what a tag is in the checkout that holds `directory`: SHA of a commit, or of a tag with a message."""
    return ask_git(directory, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}") or ""


def find_commit(directory: Path, tag: str) -> str:
    """Return the SHA of a tag's commit; empty where there is none."""
    return ask_git(directory, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}") or ""


def list_commits(directory: Path, before: str, tag: str) -> list[Commit] | None:
    """Return the commits between two tags, the newest first; None where git does not know both of them."""
    if not find_commit(directory, before) or not find_commit(directory, tag):
        return None
    words = ("log", "--no-merges", f"--max-count={MOST}", "--format=%h%x09%s", f"refs/tags/{before}..refs/tags/{tag}")
    rows = [line.split("\t", 1) for line in (ask_git(directory, *words) or "").splitlines()]
    return [Commit(row[0], row[1]) for row in rows if len(row) == 2]
