# SPDX-License-Identifier: MIT
"""Files into a container and out of it, through the Engine's archive calls: no path of this machine is mounted, so
the Engine may be anywhere.

What comes out is written beside its final place, zeros as holes, checked against the digest that the build
announced, and moved only when all of it is there.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

import requests
from docker import APIClient

from builder import log
from builder.engine.connect import ANSWER_S, engine_errors
from builder.errors import RecipeError, SpaceError, ToolError, TrustError
from builder.release.artefact import Artefact
from builder.release.earlier import remove_earlier
from builder.release.made import is_present
from builder.workspace import Journal

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BOARDS = "/build/boards"
"""Where the boards are in a container."""
CHUNK = 64 * 1024
"""Zeros of this length, at a multiple of it, become a hole."""
ZEROS = bytes(CHUNK)
PIECE = 32 * CHUNK


def put_inputs(api: APIClient, container: str, inputs: Mapping[str, Path]) -> None:
    """Copy files and directories of this machine to places in the container, readable by its root alone.

    Raises RecipeError for one that cannot be read.
    """
    with TemporaryFile() as stream:
        with tarfile.open(mode="w", fileobj=stream) as tar:
            for place, source in inputs.items():
                _add(tar, place, source)
        stream.seek(0)
        with engine_errors("sending the inputs"):
            api.put_archive(container, "/", stream)


def put_secrets(api: APIClient, container: str, secrets: Mapping[str, bytes]) -> None:
    """Write files that are on no disk here to places in the container, readable by its root alone."""
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        for place, content in secrets.items():
            entry = tarfile.TarInfo(PurePosixPath(place).relative_to("/").as_posix())
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    with engine_errors("sending the credentials"):
        api.put_archive(container, "/", stream.getvalue())


def get_artefacts(
    api: APIClient, container: str, artefacts: Sequence[Artefact], output: Path, journal: Journal
) -> tuple[Artefact, ...]:
    """Copy finished files out of a container into `output` and return them there; all of them or none. What is there
    already is left alone.

    Raises TrustError (a digest differs), SpaceError (this disk is full) and ToolError (a file is not there).
    """
    output.mkdir(parents=True, exist_ok=True)
    partial = output / f".partial-{container}"
    here = {artefact: replace(artefact, path=output / artefact.path.name) for artefact in artefacts}
    missing = [artefact for artefact in artefacts if not is_present(here[artefact])]
    if missing:
        with log.step(f"fetch {len(missing)} files"), journal.holding("directory", partial.resolve()):
            partial.mkdir()
            for artefact in missing:
                _get(api, container, artefact, partial / artefact.path.name)
            remove_earlier(output, [artefact.path.name for artefact in artefacts], partial)
            for artefact in missing:
                (partial / artefact.path.name).replace(here[artefact].path)
    return tuple(here.values())


def read_file(api: APIClient, container: str, path: str) -> bytes:
    """Return the content of a small file of a container, of a volume it has too; ToolError when it has none."""
    with engine_errors(f"fetching {path}"):
        chunks, _ = api.get_archive(container, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            content = tar.extractfile(PurePosixPath(path).name)
            return content.read() if content else b""


def _add(tar: tarfile.TarFile, place: str, source: Path) -> None:
    def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        if source.is_file():
            entry.mode = 0o600  # It may hold a password.
        return entry

    try:
        tar.add(source.resolve(), arcname=PurePosixPath(place).relative_to("/").as_posix(), filter=owned_by_root)
    except OSError as error:
        raise RecipeError(f"{error.filename or source} cannot be read: {error.strerror}") from error


def _get(api: APIClient, container: str, artefact: Artefact, target: Path) -> None:
    """Not by `api.get_archive`: broken off half way, its connection stays open, and the Engine waits for it before
    it removes the container."""
    address = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    with (
        engine_errors(f"fetching {artefact.path.name}"),
        api.get(address, params={"path": str(artefact.path)}, stream=True, timeout=ANSWER_S) as response,
    ):
        if not response.ok:
            raise ToolError(f"the build announced {artefact.path}, but its container has no such file: {response.text}")
        digest = _unpack(response.iter_content(PIECE), target, artefact)
    if digest != artefact.sha256:
        raise TrustError(
            f"{artefact.path.name} arrived with sha256 {digest}, but the build announced {artefact.sha256}",
            hint="build again; if it stays so, the connection to the Engine damages data",
        )


def _unpack(chunks: Iterator[bytes], target: Path, artefact: Artefact) -> str:
    """Write the only file of an archive and return its digest."""
    with tarfile.open(mode="r|", fileobj=io.BufferedReader(_Chunks(chunks), CHUNK)) as tar:
        entry = tar.next()
        content = tar.extractfile(entry) if entry else None
        if content is None:
            raise ToolError(f"the build announced {artefact.path}, which is not a file")
        try:
            with target.open("wb") as stream:
                return _write_sparse(content, stream, artefact)
        except requests.RequestException:
            raise  # An OSError too, but of the connection: engine_errors has words for it.
        except OSError as error:
            raise SpaceError(
                f"{target} cannot be written: {error.strerror}", hint="make room or use --output"
            ) from error


def _write_sparse(content: IO[bytes], stream: IO[bytes], artefact: Artefact) -> str:
    state, done = hashlib.sha256(), 0
    while chunk := content.read(CHUNK):
        state.update(chunk)
        done += len(chunk)
        if chunk == ZEROS:
            stream.seek(CHUNK, os.SEEK_CUR)
        else:
            stream.write(chunk)
        if done % (256 * CHUNK) == 0:
            log.progress(artefact.path.name, done / max(artefact.size_bytes, done))
    stream.truncate(done)
    stream.flush()
    os.fsync(stream.fileno())
    return state.hexdigest()


class _Chunks(io.RawIOBase):
    """A stream of pieces of any length, read as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        self._rest = self._rest or next(self._chunks, b"")
        data, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(data)] = data
        return len(data)
