# SPDX-License-Identifier: MIT
"""Files by their SHA-256, in a directory that builds share and that a size limit keeps small.

    STORE/objects/<2 digits>/<sha256>   a file, complete and never changed
    STORE/refs/<name>.json              a name for an object, with facts about it
    STORE/parts/                        files on their way in
    STORE/locks/<2 digits>              held while an object comes or goes

Objects are added by rename, so a killed process never leaves a partial one; its unlocked file in parts/ is removed by
`tidy`. An object is hashed before every use; a damaged one is dropped. The time of its last use is its mtime.

A store may have a shared cache behind it (builder/cache/remote.py). Missing objects are fetched from there, and
new ones are sent there.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, unquote

from builder import log
from builder.errors import TrustError, disk_full_as_space_error
from builder.system.atomic import give_name
from builder.system.checksums import SHA256, sha256_file
from builder.system.files import load_json
from builder.system.locks import lock, lock_named, locked

if TYPE_CHECKING:
    from builder.cache.remote import Remote

PIECE = 1024 * 1024
AT_ONCE = 8  # downloads from the shared cache
FACT = re.compile(r"[ -~]{0,255}")


@dataclass(frozen=True)
class StoreEntry:
    """An object as a listing shows it; `used` is the time of its last use, in seconds since 1970."""

    sha256: str
    path: Path
    size_bytes: int
    used: float


@dataclass(frozen=True)
class StoreRef:
    """A name, the object that it refers to, and facts about the object."""

    name: str
    sha256: str
    facts: Mapping[str, str]


class Store:
    """A store in a directory, which need not exist yet; `remote` is the shared cache behind it."""

    def __init__(self, directory: Path, remote: Remote | None = None) -> None:
        self._remote = remote
        self._objects = directory / "objects"
        self._refs = directory / "refs"
        self._parts = directory / "parts"
        self._locks = directory / "locks"

    @property
    def is_sent_on(self) -> bool:
        """True if new objects are uploaded to the shared cache."""
        return self._remote is not None and self._remote.is_writable

    def add(self, source: Path, sha256: str | None = None) -> str:
        """Move a file in and return its digest; TrustError when it is not `sha256`, SpaceError on a full disk."""
        digest = sha256_file(source)
        if sha256 not in (None, digest):
            raise TrustError(f"{source} has sha256 {digest}; expected {sha256}")
        with self._locked(digest):
            target = self._path(digest)
            try:
                give_name(source, target, durable=False)
                os.utime(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy(source, target)
        if self._remote:
            with suppress(FileNotFoundError):  # Dropped by another meanwhile.
                self._remote.send(digest, target)
        return digest

    def has(self, sha256: str) -> bool:
        """Return whether the object is in this directory, damaged or not."""
        return self._path(sha256).is_file()

    def link(self, sha256: str, target: Path) -> bool:
        """Give an object the name `target` too (a link where possible, else a copy); False without an intact one.

        Do not write to a linked file: it is the object itself. Damage is detected at the next use.
        """
        return self._link(sha256, target) or (self._prefetch(sha256) and self._link(sha256, target))

    def prefetch(self, digests: Collection[str]) -> None:
        """Fetch missing objects from the shared cache, several at once."""
        if self._remote is None:
            return
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            # Each with a copy of the context: its log lines go to the log sink of the caller.
            for download in [pool.submit(copy_context().run, self._prefetch, sha256) for sha256 in digests]:
                download.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _prefetch(self, sha256: str) -> bool:
        """Fetch an object from the shared cache; False if it has no intact one."""
        if self._remote is None:
            return False
        with locked(self._locks / f"bring-{sha256[:2]}"):  # Only downloads of objects with this prefix wait.
            if self.has(sha256):
                return True
            with self._part() as (part, stream):
                if not self._remote.fetch(sha256, stream):
                    return False
                stream.flush()
                if (digest := sha256_file(part)) != sha256:
                    log.warn(f"the shared cache's object {sha256} has sha256 {digest}; it is not used")
                    self._remote.mark_bad(sha256)
                    return False
                with self._locked(sha256):
                    give_name(part, self._path(sha256), durable=False)
        return True

    def _link(self, sha256: str, target: Path) -> bool:
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

    def set_ref(self, name: str, sha256: str, facts: Mapping[str, str]) -> None:
        """Set a ref: `name` now refers to this object."""
        content = json.dumps({"sha256": sha256, "facts": facts}, sort_keys=True).encode()
        self._write_ref(name, content)
        if self._remote:
            self._remote.write_ref(name, content)

    def _write_ref(self, name: str, content: bytes) -> None:
        with self._part() as (part, stream):
            stream.write(content)
            stream.flush()
            give_name(part, self._ref_path(name), durable=False)

    def refs(self) -> list[StoreRef]:
        """Return all names; one that cannot be read is dropped."""
        return [ref for path in sorted(self._refs.glob("*.json")) if (ref := _read_ref(path))]

    def find_ref(self, name: str) -> StoreRef | None:
        """Return a ref from here or from the shared cache, or None."""
        ref = _read_ref(self._ref_path(name))
        content = self._remote.read_ref(name) if self._remote and ref is None else None
        if content is None:
            return ref
        if ref := _load_ref(name, content):
            self._write_ref(name, content)
        else:
            log.warn(f"the ref {name} of the shared cache cannot be read; it is not used")
        return ref

    def entries(self) -> list[StoreEntry]:
        """Return all objects, least recently used first."""
        entries = []
        for path in self._objects.glob("*/*"):
            with suppress(FileNotFoundError):
                stat = path.stat()
                entries.append(StoreEntry(path.name, path, stat.st_size, stat.st_mtime))
        return sorted(entries, key=lambda entry: (entry.used, entry.sha256))

    def drop(self, sha256: str) -> None:
        """Remove an object, if it exists. Other links to the file stay."""
        with self._locked(sha256):
            self._path(sha256).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove partial files of killed writers, and refs to missing objects."""
        for path in self._parts.glob("*"):
            _remove_ownerless(path)
        for ref in self.refs():
            if not self.has(ref.sha256):
                self._ref_path(ref.name).unlink(missing_ok=True)

    def _copy(self, source: Path, target: Path) -> None:
        with self._part() as (part, stream), source.open("rb") as content:
            shutil.copyfileobj(content, stream, PIECE)
            stream.flush()
            give_name(part, target)
        source.unlink()

    def _ref_path(self, name: str) -> Path:
        return self._refs / f"{quote(name, safe='')}.json"

    def _path(self, sha256: str) -> Path:
        return self._objects / sha256[:2] / sha256

    def _is_intact(self, path: Path, sha256: str) -> bool:
        try:
            digest = sha256_file(path)
        except FileNotFoundError:
            return False
        if digest != sha256:
            log.warn(f"{path} is damaged (its sha256 is {digest}); it is dropped")
            path.unlink()
        return digest == sha256

    @contextmanager
    def _part(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """Yield a new file, locked as long as this process lives; remove it at the end unless it was renamed."""
        self._parts.mkdir(parents=True, exist_ok=True)
        while True:
            path = self._parts / os.urandom(8).hex()
            with disk_full_as_space_error(path), path.open("xb") as stream:
                if not lock_named(stream, path):
                    continue  # `tidy` removed it as a leftover, between creation and lock.
                try:
                    yield path, stream
                finally:
                    path.unlink(missing_ok=True)
                return

    def _locked(self, sha256: str) -> AbstractContextManager[bool]:
        return locked(self._locks / sha256[:2])


def _read_ref(path: Path) -> StoreRef | None:
    try:
        ref = _load_ref(unquote(path.stem), path.read_bytes())
    except FileNotFoundError:
        return None
    if ref is None:
        path.unlink(missing_ok=True)
    return ref


def _load_ref(name: str, content: bytes) -> StoreRef | None:
    """Parse a ref; None if it is invalid, for example with a path instead of a digest."""
    try:
        digest, facts = (row := load_json(content))["sha256"], dict(row["facts"])
        is_sound = all(FACT.fullmatch(text) for pair in facts.items() for text in pair)
        return StoreRef(name, digest, facts) if SHA256.fullmatch(digest) and is_sound else None
    except (ValueError, KeyError, TypeError):
        return None


def _remove_ownerless(path: Path) -> None:
    with suppress(FileNotFoundError), path.open("rb") as stream:  # Its writer may be quicker.
        if lock(stream, wait=False):
            path.unlink()
