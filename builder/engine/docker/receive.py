# SPDX-License-Identifier: MIT
"""Artefacts of a container, written into a directory and checked against their digests."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from docker import APIClient

from builder import log
from builder.artefact.files import Artefact
from builder.engine.docker.connect import ANSWER_S, engine_errors
from builder.engine.docker.layer import take_file
from builder.engine.docker.pack import HINT, PIECE_BYTES, read_pack
from builder.errors import SpaceError, ToolError, TrustError
from builder.net.progress import Progress
from builder.system.atomic import sync
from builder.system.checksums import sha256_file

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ZEROS = bytes(PIECE_BYTES)
AHEAD = 16
"""Pieces that may wait for the digest: what the file is ahead of it, in MiB."""
PLAIN = {"Accept-Encoding": "identity"}


def receive_from_layer(
    layer: Path, artefacts: Sequence[Artefact], directory: Path, check: Callable[[], None] = lambda: None
) -> None:
    """Write files of a layer of the Engine's storage into a directory.

    check  called before each piece; an exception from it ends the copy

    Raises TrustError, SpaceError or ToolError.
    """
    for artefact in artefacts:
        target = directory / artefact.path.name
        log.progress(artefact.path.name, 0)
        with _writing(target):
            take_file(layer, artefact.path, target, check)
        if (size := target.stat().st_size) != artefact.size_bytes:
            raise TrustError(f"{artefact.path.name}: found {size} bytes; expected {artefact.size_bytes}", hint=HINT)
        with ThreadPoolExecutor(max_workers=1) as pool:  # The disk and a core work at once.
            synced = pool.submit(sync, target)
            check_digest(artefact, sha256_file(target))
            synced.result()


@contextmanager
def open_pack(api: APIClient, container: str, pack: Path) -> Iterator[Iterator[bytes]]:
    """Yield a pack of a container as the Engine's archive call sends it, piece by piece.

    Not by `api.get_archive`: if it is interrupted, its connection stays open, and the Engine waits for it before it
    removes the container. Not with the default headers of requests: the Engine would compress the pack again, with
    gzip, at 50 MB/s.

    Raises MachineError, and ToolError if the container has no such file.
    """
    address = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    with (
        engine_errors("fetching the artefacts"),
        api.get(address, params={"path": str(pack)}, headers=PLAIN, stream=True, timeout=ANSWER_S) as response,
    ):
        if not response.ok:
            raise ToolError(f"{pack}: not found in the container; expected the build's pack: {response.text}")
        yield response.iter_content(PIECE_BYTES)


def unpack(
    chunks: Iterator[bytes], announced: Sequence[Artefact], artefacts: Sequence[Artefact], directory: Path
) -> None:
    """Write some artefacts of a pack, which is the only file of an archive, and check their digests.

    Raises TrustError, SpaceError, and ToolError if the pack lacks one of them.
    """
    missing, meter = (
        set(artefacts),
        _Meter(f"{len(artefacts)} files", sum(artefact.size_bytes for artefact in artefacts)),
    )
    source = io.BufferedReader(_Chunks(chunks), PIECE_BYTES)
    with _reading(), meter, tarfile.open(mode="r|", fileobj=source, bufsize=PIECE_BYTES) as tar:
        entry = tar.next()
        content = tar.extractfile(entry) if entry else None
        if content is None:
            raise ToolError("the build's pack: found something else in the container; expected a regular file")
        writer: _Writer | None = None
        try:
            for index, offset, data in read_pack(content, announced):
                artefact = announced[index]
                if artefact not in missing:
                    continue
                writer = writer or _Writer(artefact, directory / artefact.path.name)
                if data:
                    writer.write(offset, data)
                    meter.show(artefact, offset)
                else:
                    writer.finish()
                    meter.count(artefact)
                    missing.discard(artefact)
                    writer = None
        finally:
            if writer:
                writer.close()
    if missing:
        path = min(artefact.path for artefact in missing)
        raise ToolError(f"{path}: not found in the container; expected a regular file, as its build announced")


def check_digest(artefact: Artefact, sha256: str) -> None:
    """Raise TrustError if the digest of a received file differs from the announced one."""
    if sha256 != artefact.sha256:
        raise TrustError(
            f"{artefact.path.name} arrived with sha256 {sha256}; expected {artefact.sha256}, as its build announced",
            hint=HINT,
        )


class _Writer:
    """Writes a file, and hashes it in another thread at the same time."""

    def __init__(self, artefact: Artefact, target: Path) -> None:
        self._artefact, self._target = artefact, target
        self._state, self._position = hashlib.sha256(), 0
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._waiting: list[Future[None]] = []
        with _writing(target):
            self._stream = target.open("xb", buffering=0)

    def write(self, offset: int, data: bytes) -> None:
        self._hash(offset, data)
        with _writing(self._target):
            left = memoryview(data)
            while left:
                count = os.pwrite(self._stream.fileno(), left, offset)
                left, offset = left[count:], offset + count

    def finish(self) -> None:
        """Sync the file; raise TrustError if its digest differs from the announced one."""
        self._hash(self._artefact.size_bytes, b"")
        with _writing(self._target):
            os.truncate(self._stream.fileno(), self._artefact.size_bytes)
            os.fsync(self._stream.fileno())
        self.close()
        check_digest(self._artefact, self._state.hexdigest())

    def close(self) -> None:
        self._pool.shutdown()
        self._stream.close()

    def _hash(self, offset: int, data: bytes) -> None:
        gap, self._position = offset - self._position, offset + len(data)
        self._waiting.append(self._pool.submit(self._update, gap, data))
        if len(self._waiting) > AHEAD:
            self._waiting.pop(0).result()

    def _update(self, gap: int, data: bytes) -> None:
        while gap:
            count = min(gap, PIECE_BYTES)
            self._state.update(ZEROS if count == PIECE_BYTES else ZEROS[:count])
            gap -= count
        self._state.update(data)


class _Meter(Progress):
    """Progress of all artefacts together, under the name of the current one."""

    _before_bytes = 0
    """Of the files that have arrived."""

    def show(self, artefact: Artefact, offset: int) -> None:
        self.desc = artefact.path.name
        self.move_to(self._before_bytes + offset)

    def count(self, artefact: Artefact) -> None:
        self._before_bytes += artefact.size_bytes
        self.move_to(self._before_bytes)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn an OSError inside into the error for this machine's disk."""
    try:
        yield
    except OSError as error:
        raise SpaceError(f"{target} cannot be written: {error.strerror}", hint="make room or use --output") from error


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise TrustError(
            f"artefacts from the container: {error}; expected an archive of one file", hint=HINT
        ) from error


class _Chunks(io.RawIOBase):
    """A stream of pieces of any length, read as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        self._rest = self._rest or memoryview(next(self._chunks, b""))
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
