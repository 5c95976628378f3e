# SPDX-License-Identifier: MIT
"""Publish releases in a directory: for a web server that serves files, or for a removable disk.

A file gets its name when it is complete and synced to the disk. Two programs that write to the directory use a lock
(`.boardwright.lock`); the second waits.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from builder.errors import RecipeError, ReleaseError, TrustError, disk_full_as_space_error
from builder.packaging.model import PackagedFile
from builder.release.collect import ReleaseFile
from builder.release.file_tree import ConflictError, FileTreePublisher, StoredObject
from builder.release.target import Publisher, PublisherConfig
from builder.system.atomic import PARTIAL, replaced, write_replaced
from builder.system.checksums import sha256_bytes, sha256_file
from builder.system.locks import locked

LOCK = ".boardwright.lock"


class Directory:
    """A store of releases in a directory of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return f"dir:{self._path}"

    def read(self, key: str) -> StoredObject | None:
        try:
            content = (self._path / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return StoredObject(content, sha256_bytes(content))

    def write(self, key: str, content: bytes, *, mark: str | None, lasting: bool) -> None:
        with self._alone():
            stored = self.read(key)
            if (stored.mark if stored else None) != mark:
                raise ConflictError(key)
            with disk_full_as_space_error(path := self._path / key):
                write_replaced(path, content)

    def list(self, folder: str) -> list[str]:
        return [f"{folder}{path.name}" for path in (self._path / folder).glob("[!.]*") if path.is_file()]

    def compare(self, key: str, file: PackagedFile) -> Literal["absent", "same", "other"]:
        path = self._path / key
        if not path.is_file():
            return "absent"
        is_same = path.stat().st_size == file.size_bytes and sha256_file(path) == file.sha256
        return "same" if is_same else "other"

    def send(self, key: str, item: ReleaseFile) -> None:
        path = self._path / key
        with self._alone(), disk_full_as_space_error(path), replaced(path) as partial:
            shutil.copyfile(item.path, partial)
            partial.chmod(0o644)
            if sha256_file(partial) != item.file.sha256:
                raise TrustError(f"{item.path} changed while it was copied", hint="run the same command again")

    def tidy(self, folder: str) -> None:
        with self._alone():  # With the lock no other process is writing such a file.
            for path in (self._path / folder).rglob(f".*{PARTIAL}"):
                path.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with locked(self._path / LOCK):
                yield
        except OSError as error:
            hint = "name a directory that is writable"
            raise ReleaseError(f"--to {self.name}: {error.strerror}: {error.filename}", hint=hint) from error


def make_publisher(text: str, config: PublisherConfig) -> Publisher:
    """Return the target of `dir:PATH`; raise RecipeError without a path."""
    path = text.removeprefix("dir:")
    if not path:
        raise RecipeError("--to: found 'dir:'; expected dir:PATH", hint="add a directory, such as dir:public")
    return FileTreePublisher(Directory(Path(path).resolve()), config.url, config.catalogue)
