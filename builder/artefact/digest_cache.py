# SPDX-License-Identifier: MIT
"""Cache of the digests of finished files, with the file status that shows a change.

A digest is valid while device, inode, size, modification time and change time are the same as when it was computed.
Each write to a file changes the last one. Hashing an image again takes longer than the rest of a build in which nothing
has changed.
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
"""Name of the file in a state directory. If it, or an entry by another process, gets lost, only time is lost."""

Facts = list[int]


class Digests:
    """The known digests of a state directory."""

    def __init__(self, state: Path) -> None:
        self._file = state / FILE
        self._entries = _load(self._file)

    def find(self, path: Path) -> str:
        """Return the digest of a regular file, computed now if it is not known; "" if there is no such file."""
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
        """Store the digest of a file that was hashed just now."""
        self._entries[str(path.resolve())] = [sha256, *_read_facts(path)]
        self._entries = {name: entry for name, entry in self._entries.items() if _exists(name)}
        with suppress(OSError):  # The disk is full, or root owns the directory: the digest is computed again next time.
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
    """Return whether `entry` is a digest followed by the status of its file."""
    if not isinstance(entry, list) or len(entry) != 6:
        return False
    digest, *facts = entry
    return isinstance(digest, str) and bool(SHA256.fullmatch(digest)) and all(type(fact) is int for fact in facts)


def _read_facts(path: Path) -> Facts:
    status = path.stat()
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
