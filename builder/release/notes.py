# SPDX-License-Identifier: MIT
"""The notes of a release, as Markdown: its images, what changed in each since the release before, the commits.

Of packages, kernel and Docker come first: they are what people look for. A difference is one of name and version, per
architecture as the lists of packages have it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.packaging.model import LONGEST_NOTES, Partition
from builder.release.collect import Parcel
from builder.release.git_history import Commit
from builder.release.target import Previous, Shipment
from builder.system.files import read_bytes
from builder.text import make_line
from builder.units import render_size

FIRST = ("linux-image", "docker", "containerd", "runc", "raspi-firmware", "u-boot", "systemd")
"""Beginnings of names that are shown first and in bold, the most wanted first."""
MANY = 25
"""More rows than these are folded."""


@dataclass(frozen=True)
class Change:
    """A package that is not as before; an empty version: it is not there."""

    name: str
    before: str
    after: str


def render_notes(shipment: Shipment, previous: Previous | None, commits: Sequence[Commit] | None) -> str:
    """Return the notes.

    previous  the release to compare with; None for the first
    commits   since then; None where they are not known
    """
    since = f" since {previous.tag}" if previous else ""
    parts = [_render_images(shipment.parcels)]
    if previous:
        parts += [text for parcel in shipment.parcels if (text := _render_board(parcel, previous))]
    if commits:
        rows = [f"- {each.short} {_plain(each.subject)}" for each in commits]
        parts.append("\n".join([f"## Commits{since}", "", *_folded(rows, "commits"), ""]))
    notes = "\n".join(parts)
    if len(notes) <= LONGEST_NOTES:
        return notes
    return "\n".join([parts[0], f"What changed{since} is left out: it is longer than {LONGEST_NOTES >> 20} MiB.", ""])


def read_packages(text: str) -> dict[str, str]:
    """Return the versions of a list of packages (name, version, architecture, …; tabs between) by name.

    Several versions of one name, of several architectures or kernels, are one text.
    """
    found: dict[str, set[str]] = {}
    for line in text.splitlines()[1:]:
        name, version, *_ = [*line.split("\t"), "", ""]
        if name and version:
            found.setdefault(_without_abi(name), set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def compare(before: dict[str, str], after: dict[str, str]) -> list[Change]:
    """Return what changed, kernel and Docker first, the rest by name."""
    names = [name for name in before | after if before.get(name) != after.get(name)]
    names.sort(key=lambda name: (_rank(name), name))
    return [Change(name, before.get(name, ""), after.get(name, "")) for name in names]


def _without_abi(name: str) -> str:
    """linux-image-6.12.48+deb13-arm64 and its successor are one package to whoever reads notes."""
    return re.sub(r"^(linux-(?:image|headers|modules|base|binary|kbuild))-\d[^-]*(?:-\d+)?(?:-rpi)?", r"\1", name)


def _rank(name: str) -> int:
    return next((place for place, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))


def _render_images(parcels: Sequence[Parcel]) -> str:
    rows = []
    for parcel in parcels:
        package = parcel.released.package
        for file in package.files:
            if file.role == "image":
                title = f"{_plain(package.title)} (`{package.board}`)"
                rows.append(f"| {title} | {file.name} | {render_size(file.size_bytes)} | `{file.sha256}` |")
    return "\n".join(["| Board | Image | Size | SHA-256 |", "|---|---|---|---|", *rows, ""])


def _render_board(parcel: Parcel, previous: Previous) -> str:
    head = f"## {_plain(parcel.released.package.title)} (`{parcel.board}`) since {previous.tag}"
    rows = [*_compare_partitions(parcel, previous), *_compare_packages(parcel, previous)]
    if previous.release and parcel.board not in previous.release.boards:
        rows = [f"New: {previous.tag} had no image for it."]
    return "\n".join([head, "", *rows, ""]) if rows else ""


def _compare_packages(parcel: Parcel, previous: Previous) -> Iterator[str]:
    before, after = previous.packages.get(parcel.board), _read_own(parcel)
    if before is None or after is None:
        return
    changes = compare(read_packages(before), read_packages(after))
    if not changes:
        yield "The packages are the same."
        return
    kinds = [
        sum(1 for each in changes if each.before and each.after),
        sum(1 for each in changes if not each.before),
        sum(1 for each in changes if not each.after),
    ]
    yield "Packages: {} changed, {} added, {} removed.".format(*kinds)
    yield ""
    first = [each for each in changes if _rank(each.name) < len(FIRST)]
    yield from _table(first)
    yield from _folded(_table([each for each in changes if each not in first]), "packages", head=3)


def _table(changes: Sequence[Change]) -> list[str]:
    if not changes:
        return []
    rows = [_row(each) for each in changes]
    return ["| Package | Before | Now |", "|---|---|---|", *rows, ""]


def _row(change: Change) -> str:
    name = f"**{_plain(change.name)}**" if _rank(change.name) < len(FIRST) else _plain(change.name)
    return f"| {name} | {_plain(change.before) or 'added'} | {_plain(change.after) or 'removed'} |"


def _folded(rows: Sequence[str], what: str, *, head: int = 0) -> list[str]:
    """Return rows, behind a line to click on where they are many."""
    if len(rows) - head <= MANY:
        return list(rows)
    return [f"<details><summary>{len(rows) - head} {what}</summary>", "", *rows, "", "</details>", ""]


def _compare_partitions(parcel: Parcel, previous: Previous) -> Iterator[str]:
    released = previous.release.boards.get(parcel.board) if previous.release else None
    before = {each.name: each for each in released.package.partitions} if released else {}
    after = {each.name: each for each in parcel.released.package.partitions}
    if not before or not after:
        return
    rows = []
    for name in before | after:
        was, now = (_say(each) if each else "" for each in (before.get(name), after.get(name)))
        if was != now:
            rows.append(f"| {_plain(name)} | {was or 'added'} | {now or 'removed'} |")
    if rows:
        yield from ["| Partition | Before | Now |", "|---|---|---|", *rows, ""]


def _say(partition: Partition) -> str:
    words = [partition.filesystem, render_size(partition.size_bytes), partition.mount]
    return _plain(" ".join(filter(None, words)))


def _read_own(parcel: Parcel) -> str | None:
    names = [file.name for file in parcel.released.package.files if file.role == "packages"]
    if not names:
        return None
    return read_bytes(parcel.directory / names[0], within=parcel.directory).decode("utf-8", "replace")


def _plain(text: str) -> str:
    """Return a text that Markdown and HTML take as it is, on one line and all of it to be seen: who writes a list of
    packages, or the subject of a commit, may write anything."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(make_line(text), quote=False))
