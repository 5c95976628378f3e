# SPDX-License-Identifier: MIT
"""Render release notes as Markdown: images, changes of each since the previous release, commits.

The packages of kernel and Docker come first, because most readers look for them. Packages are compared by name and
version, with the architectures in the lists of packages.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.packaging.model import LONGEST_NOTES, PackagedPartition
from builder.release.collect import CheckedImage
from builder.release.git_history import Commit
from builder.release.target import Previous, ReleaseContent
from builder.system.files import read_bytes
from builder.text import make_line
from builder.units import render_size

FIRST = ("linux-image", "docker", "containerd", "runc", "raspi-firmware", "u-boot", "systemd")
"""Beginnings of package names that are shown first and in bold, most important first."""
MANY = 25
"""Longer tables are folded."""


@dataclass(frozen=True)
class Change:
    """A changed package; a missing version is ""."""

    name: str
    before: str
    after: str


def render_notes(release_content: ReleaseContent, previous: Previous | None, commits: Sequence[Commit] | None) -> str:
    """Return the notes.

    previous  the release to compare with; None for the first release
    commits   commits since `previous`; None if not known
    """
    since = f" since {previous.tag}" if previous else ""
    parts = [_render_images(release_content.checked)]
    if previous:
        parts += [text for image in release_content.checked if (text := _render_board(image, previous))]
    if commits:
        rows = [f"- {commit.short} {_plain(commit.subject)}" for commit in commits]
        parts.append("\n".join([f"## Commits{since}", "", *_folded(rows, "commits"), ""]))
    notes = "\n".join(parts)
    if len(notes) <= LONGEST_NOTES:
        return notes
    return "\n".join([parts[0], f"What changed{since} is left out: it is longer than {LONGEST_NOTES >> 20} MiB.", ""])


def read_packages(text: str) -> dict[str, str]:
    """Return version by name from a list of packages (name, version, architecture, …; separated by tabs).

    Several versions of one name, of several architectures or kernels, are joined to one text.
    """
    versions_of: dict[str, set[str]] = {}
    for line in text.splitlines()[1:]:
        name, version, *_ = [*line.split("\t"), "", ""]
        if name and version:
            versions_of.setdefault(_without_abi(name), set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in versions_of.items()}


def compare(before: dict[str, str], after: dict[str, str]) -> list[Change]:
    """Return the changed packages: kernel and Docker first, the others sorted by name."""
    names = [name for name in before | after if before.get(name) != after.get(name)]
    names.sort(key=lambda name: (_rank(name), name))
    return [Change(name, before.get(name, ""), after.get(name, "")) for name in names]


def _without_abi(name: str) -> str:
    """Return a package name without a kernel version, so that a kernel and its successor have the same name."""
    return re.sub(r"^(linux-(?:image|headers|modules|base|binary|kbuild))-\d[^-]*(?:-\d+)?(?:-rpi)?", r"\1", name)


def _rank(name: str) -> int:
    return next((rank for rank, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))


def _render_images(checked: Sequence[CheckedImage]) -> str:
    rows = []
    for image in checked:
        package = image.released.image
        for file in package.files:
            if file.role == "image":
                title = f"{_plain(package.title)} (`{package.board}`)"
                rows.append(f"| {title} | {file.name} | {render_size(file.size_bytes)} | `{file.sha256}` |")
    return "\n".join(["| Board | Image | Size | SHA-256 |", "|---|---|---|---|", *rows, ""])


def _render_board(image: CheckedImage, previous: Previous) -> str:
    head = f"## {_plain(image.released.image.title)} (`{image.board}`) since {previous.tag}"
    rows = [*_compare_partitions(image, previous), *_compare_packages(image, previous)]
    if previous.release and image.board not in previous.release.boards:
        rows = [f"New: {previous.tag} had no image for this board."]
    return "\n".join([head, "", *rows, ""]) if rows else ""


def _compare_packages(image: CheckedImage, previous: Previous) -> Iterator[str]:
    before, after = previous.packages.get(image.board), _read_own(image)
    if before is None or after is None:
        return
    changes = compare(read_packages(before), read_packages(after))
    if not changes:
        yield "The packages are the same."
        return
    counts = [
        sum(1 for change in changes if change.before and change.after),
        sum(1 for change in changes if not change.before),
        sum(1 for change in changes if not change.after),
    ]
    yield "Packages: {} changed, {} added, {} removed.".format(*counts)
    yield ""
    first = [change for change in changes if _rank(change.name) < len(FIRST)]
    yield from _table(first)
    yield from _folded(_table([change for change in changes if change not in first]), "packages", head=3)


def _table(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return []
    rows = [_row(change) for change in changes]
    return ["| Package | Before | Now |", "|---|---|---|", *rows, ""]


def _row(change: Change) -> str:
    name = f"**{_plain(change.name)}**" if _rank(change.name) < len(FIRST) else _plain(change.name)
    return f"| {name} | {_plain(change.before) or 'added'} | {_plain(change.after) or 'removed'} |"


def _folded(rows: Sequence[str], what: str, *, head: int = 0) -> list[str]:
    """Return rows, folded in <details> if there are many."""
    if len(rows) - head <= MANY:
        return list(rows)
    return [f"<details><summary>{len(rows) - head} {what}</summary>", "", *rows, "", "</details>", ""]


def _compare_partitions(image: CheckedImage, previous: Previous) -> Iterator[str]:
    released = previous.release.boards.get(image.board) if previous.release else None
    before = {partition.name: partition for partition in released.image.partitions} if released else {}
    after = {partition.name: partition for partition in image.released.image.partitions}
    if not before or not after:
        return
    rows = []
    for name in before | after:
        was, now = (_say(partition) if partition else "" for partition in (before.get(name), after.get(name)))
        if was != now:
            rows.append(f"| {_plain(name)} | {was or 'added'} | {now or 'removed'} |")
    if rows:
        yield from ["| Partition | Before | Now |", "|---|---|---|", *rows, ""]


def _say(partition: PackagedPartition) -> str:
    fields = [partition.filesystem, render_size(partition.size_bytes), partition.mount]
    return _plain(" ".join(filter(None, fields)))


def _read_own(image: CheckedImage) -> str | None:
    names = [file.name for file in image.released.image.files if file.role == "packages"]
    if not names:
        return None
    return read_bytes(image.directory / names[0], within=image.directory).decode("utf-8", "replace")


def _plain(text: str) -> str:
    """Return a text on one line, escaped for Markdown and HTML, with hidden characters made visible.

    Lists of packages and subjects of commits are untrusted text.
    """
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(make_line(text), quote=False))
