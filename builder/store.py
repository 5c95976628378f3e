# SPDX-License-Identifier: MIT
"""Files by their SHA-256, in a directory that builds share and that a size limit keeps small.

    STORE/objects/<2 digits>/<sha256>   a file, complete and never changed
    STORE/refs/<name>.json              a name for an object, with facts about it
    STORE/parts/                        files on their way in
    STORE/locks/<2 digits>              held while an object comes or goes

An object comes by a rename, so a kill leaves all of it or none; what it leaves in parts/ has no living owner (the
kernel dropped its lock) and goes at the next `tidy`. An object is hashed before every use, and a
damaged one is dropped, never handed out. The time of its last use is its mtime.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

from builder import log
from builder.errors import TrustError, disk_full_as_space_error

PIECE = 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """An object as a listing shows it; `used` is when it was last used, in seconds since 1970."""

    sha256: str
    path: Path
    size_bytes: int
    used: float


@dataclass(frozen=True)
class Ref:
    """A name, the object it stands for, and what is known about that."""

    name: str
    sha256: str
    facts: Mapping[str, Any]


class Store:
    """A store in a directory, which need not exist yet."""

    def __init__(self, directory: Path) -> None:
        self._objects = directory / "objects"
        self._refs = directory / "refs"
        self._parts = directory / "parts"
        self._locks = directory / "locks"

    def take(self, source: Path, sha256: str | None = None) -> str:
        """Move a file in and return its digest; TrustError when it is not `sha256`, SpaceError on a full disk."""
        with source.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if sha256 not in (None, found):
            raise TrustError(f"{source} has sha256 {found}, wanted is {sha256}")
        with self._locked(found):
            target = self._path(found)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.replace(target)
                os.utime(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy(source, target)
        return found

    def has(self, sha256: str) -> bool:
        """Say whether there is such an object, damaged or not."""
        return self._path(sha256).is_file()

    def place(self, sha256: str, target: Path) -> bool:
        """Give an object the name `target` too (a link where possible, else a copy); False without an intact one.

        Who gets a link must not write into the file: it would damage the object, which the next use finds out.
        """
        with self._locked(sha256):
            path = self._path(sha256)
            if not self._is_intact(path, sha256):
                return False
            os.utime(path)
            with disk_full_as_space_error(target):
                try:
                    target.hardlink_to(path)
                except OSError:  # Another filesystem, or one without links.
                    shutil.copyfile(path, target)
        return True

    def set_ref(self, name: str, sha256: str, facts: Mapping[str, Any]) -> None:
        """Let `name` stand for an object from now on."""
        with self._part() as (part, stream):
            stream.write(json.dumps({"sha256": sha256, "facts": facts}, sort_keys=True).encode())
            stream.flush()
            target = self._ref_path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)

    def refs(self) -> list[Ref]:
        """Return all names; one that cannot be read is dropped."""
        return [ref for path in sorted(self._refs.glob("*.json")) if (ref := _read_ref(path))]

    def find_ref(self, name: str) -> Ref | None:
        """Return what a name stands for, or None."""
        return _read_ref(self._ref_path(name))

    def entries(self) -> list[Entry]:
        """Return all objects, the one that was not used for longest first."""
        found = []
        for path in self._objects.glob("*/*"):
            with suppress(FileNotFoundError):
                stat = path.stat()
                found.append(Entry(path.name, path, stat.st_size, stat.st_mtime))
        return sorted(found, key=lambda entry: (entry.used, entry.sha256))

    def drop(self, sha256: str) -> None:
        """Remove an object; at rest when it is gone already. Who has a link to it keeps the file."""
        with self._locked(sha256):
            self._path(sha256).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what killed writers left, and names of objects that are gone."""
        for path in self._parts.glob("*"):
            _remove_ownerless(path)
        for ref in self.refs():
            if not self.has(ref.sha256):
                self._ref_path(ref.name).unlink(missing_ok=True)

    def _copy(self, source: Path, target: Path) -> None:
        with self._part() as (part, stream), source.open("rb") as content:
            shutil.copyfileobj(content, stream, PIECE)
            stream.flush()
            os.fsync(stream.fileno())
            part.replace(target)
        source.unlink()

    def _ref_path(self, name: str) -> Path:
        return self._refs / f"{quote(name, safe='')}.json"

    def _path(self, sha256: str) -> Path:
        return self._objects / sha256[:2] / sha256

    def _is_intact(self, path: Path, sha256: str) -> bool:
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            return False
        if found != sha256:
            log.warn(f"{path} is damaged (its sha256 is {found}); it is dropped")
            path.unlink()
        return found == sha256

    @contextmanager
    def _part(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """A new file, locked by us as long as we live; gone at the end unless it was renamed."""
        self._parts.mkdir(parents=True, exist_ok=True)
        while True:
            path = self._parts / os.urandom(8).hex()
            with disk_full_as_space_error(path), path.open("xb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                if not path.exists():
                    continue  # Taken for a leftover between being made and being locked.
                try:
                    yield path, stream
                finally:
                    path.unlink(missing_ok=True)
                return

    @contextmanager
    def _locked(self, sha256: str) -> Iterator[None]:
        with locked(self._locks / sha256[:2]):
            yield


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of that name; whoever comes second waits. The kernel drops it if we die."""
    with open_lock(path) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def open_lock(path: Path) -> IO[bytes]:
    """Open a file to lock, made where it is missing; SpaceError on a full disk."""
    with disk_full_as_space_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def _read_ref(path: Path) -> Ref | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Ref(unquote(path.stem), str(said["sha256"]), dict(said["facts"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        path.unlink(missing_ok=True)
        return None


def _remove_ownerless(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (FileNotFoundError, BlockingIOError):
        return  # Its writer lives, or was quicker.
