# SPDX-License-Identifier: MIT
"""Trees of files as a disk reader gives them, made of texts."""

from __future__ import annotations

from pathlib import Path

from builder.disk.entry import Entry, Piece
from builder.disk.filetree import FileTree


def make_tree(work: Path, files: dict[str, str]) -> FileTree:
    """Return a tree with these files, their directories, and links where a text starts with ->."""
    entries = {"/": Entry("/", "directory", 0o755, 0, 0, 0, 0)}
    for number, (path, text) in enumerate(files.items()):
        for parent in [str(each) for each in Path(path).parents]:
            entries.setdefault(parent, Entry(parent, "directory", 0o755, 0, 0, 0, 0))
        if text.startswith("->"):
            entries[path] = Entry(path, "symlink", 0o777, 0, 0, 0, 0, target=text[2:])
            continue
        source = work / str(number)
        source.write_text(text)
        size = len(text.encode())
        entries[path] = Entry(path, "file", 0o644, 0, 0, size, 0, pieces=(Piece(0, size, source, 0),))
    return FileTree(entries.values())
