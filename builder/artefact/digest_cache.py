# SPDX-License-Identifier: MIT
"""Digests of finished files, kept with the facts by which the kernel shows that a file was touched.

A digest holds while device, inode, size, time of modification and time of change are those that it was found with:
nothing writes to a file without changing the last one. Hashing an image again takes longer than the rest of a build
that has nothing to do.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from builder.system.atomic import write_replaced
from builder.system.checksums import SHA256, sha256_file
from builder.system.files import InputError, load_json, read_text

FILE = "digests.json"
"""Name of the file in a state directory. Losing it, or an entry to another process, costs time only."""

Facts = list[int]


class Digests:
    """The digests that a state directory knows."""

    def __init__(self, state: Path) -> None:
        self._file = state / FILE
        self._entries = _load(self._file)

    def find(self, path: Path) -> str:
        """Return the digest of a regular file, hashed now unless it is known; "" without such a file."""
        if not path.is_file():
            return ""
        before, key = _read_facts(path), str(path.resolve())
        known = self._entries.get(key)
        if known and known[1:] == before:
            return str(known[0])
        digest = sha256_file(path)
        if _read_facts(path) == before:
            self.note(path, digest)
        return digest

    def note(self, path: Path, sha256: str) -> None:
        """Keep the digest of a file that was hashed just now."""
        self._entries[str(path.resolve())] = [sha256, *_read_facts(path)]
        self._entries = {name: entry for name, entry in self._entries.items() if _exists(name)}
        with suppress(OSError):  # A full disk, a directory of root's: the digest is found again next time.
            write_replaced(self._file, json.dumps(self._entries).encode(), is_locked=False, durable=False)


def _load(file: Path) -> dict[str, list[str | int]]:
    try:
        entries = load_json(read_text(file))
    except (InputError, ValueError):
        return {}
    return {path: entry for path, entry in entries.items() if _is_entry(entry)} if isinstance(entries, dict) else {}


def _exists(name: str) -> bool:
    return os.path.exists(name)  # noqa: PTH110 - Path.exists raises for a name that is too long


def _is_entry(entry: object) -> bool:
    """Say whether something is a digest and the facts of its file."""
    if not isinstance(entry, list) or len(entry) != 6:
        return False
    digest, *facts = entry
    return isinstance(digest, str) and bool(SHA256.fullmatch(digest)) and all(type(each) is int for each in facts)


def _read_facts(path: Path) -> Facts:
    status = path.stat()
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
