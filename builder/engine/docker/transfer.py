# SPDX-License-Identifier: MIT
"""Copy small files into a container and out of it, through the Engine's archive call.

No path of this machine is mounted, so the Engine may be on another machine.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile

from docker import APIClient

from builder.engine.docker.connect import engine_errors
from builder.errors import RecipeError

BOARDS = "/build/boards"
"""Directory of the boards in a container."""


def put_inputs(api: APIClient, container: str, inputs: Mapping[str, Path]) -> None:
    """Copy files and directories of this machine to paths in the container, readable only by its root.

    Raises RecipeError for an unreadable file.
    """
    with TemporaryFile() as stream:
        with tarfile.open(mode="w", fileobj=stream) as tar:
            for path, source in inputs.items():
                _add(tar, path, source)
        stream.seek(0)
        with engine_errors("sending the inputs"):
            api.put_archive(container, "/", stream)


def put_secrets(api: APIClient, container: str, secrets: Mapping[str, bytes]) -> None:
    """Write secrets, which are on no disk of this machine, to paths in the container, readable only by its root."""
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        for path, content in secrets.items():
            entry = tarfile.TarInfo(PurePosixPath(path).relative_to("/").as_posix())
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    with engine_errors("sending the credentials"):
        api.put_archive(container, "/", stream.getvalue())


def read_file(api: APIClient, container: str, path: str) -> bytes:
    """Return the content of a small file of a container or of its volume; ToolError if it does not exist."""
    with engine_errors(f"fetching {path}"):
        chunks, _ = api.get_archive(container, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            content = tar.extractfile(PurePosixPath(path).name)
            return content.read() if content else b""


def _add(tar: tarfile.TarFile, path: str, source: Path) -> None:
    def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        if source.is_file():
            entry.mode = 0o600  # It may hold a password.
        return entry

    try:
        tar.add(source.resolve(), arcname=PurePosixPath(path).relative_to("/").as_posix(), filter=owned_by_root)
    except OSError as error:
        raise RecipeError(f"{error.filename or source} cannot be read: {error.strerror}") from error
