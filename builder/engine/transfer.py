# SPDX-License-Identifier: MIT
"""Files into a container and out of it: no path of this machine is mounted, so the Engine may be anywhere.

Inputs go in through the Engine's archive call. Artefacts come out as a pack (pack.py) through the same call, or from
the Engine's storage (layer.py) where this process may read it. Either way they are written beside their final place,
zeros as holes, checked against the digest that the build announced, and moved only when all of them are there.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import Any

from docker import APIClient

from builder import log
from builder.engine.connect import engine_errors
from builder.engine.receive import receive_from_layer, receive_pack
from builder.errors import RecipeError, ToolError
from builder.release.artefact import Artefact
from builder.release.digests import Digests
from builder.release.earlier import remove_earlier
from builder.workspace import Journal

SHA256 = re.compile(r"[0-9a-f]{64}")
BOARDS = "/build/boards"
"""Where the boards are in a container."""


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


def read_announced(rows: Any) -> list[Artefact]:
    """Return the artefacts that a build in a container announced; ToolError where a row is not one."""
    artefacts = []
    for row in rows if isinstance(rows, list | tuple) else [rows]:
        try:
            artefact = Artefact(Path(row["path"]), int(row["size"]), str(row["sha256"]))
        except (TypeError, ValueError, KeyError, OverflowError):
            raise _wrong_row(row) from None
        name = artefact.path.name
        if name in ("", "..") or "\0" in name or artefact.size_bytes < 0 or not SHA256.fullmatch(artefact.sha256):
            raise _wrong_row(row)
        artefacts.append(artefact)
    if len({artefact.path.name for artefact in artefacts}) != len(artefacts):
        raise ToolError("the build in the container announced two files of one name; expected different names")
    return artefacts


def _wrong_row(row: object) -> ToolError:
    return ToolError(f"the build in the container announced {row!r}; expected path, size and sha256 of a file")


def get_artefacts(
    api: APIClient,
    container: str,
    artefacts: Sequence[Artefact],
    output: Path,
    journal: Journal,
    *,
    digests: Digests,
    layer: Path | None = None,
) -> tuple[Artefact, ...]:
    """Hand out finished files of a container that has ended: move them into `output` and return them there; all of
    them or none. What is there already is left alone.

    digests  those that are known of files in `output`
    layer    directory of what was written in the container, where this process can read it; the pack without

    Raises TrustError (a digest differs, the pack is damaged), SpaceError (this disk is full) and ToolError (a file is
    not there).
    """
    output.mkdir(parents=True, exist_ok=True)
    partial = output / f".partial-{container}"
    here = {artefact: replace(artefact, path=output / artefact.path.name) for artefact in artefacts}
    missing = [artefact for artefact in artefacts if digests.find(here[artefact].path) != artefact.sha256]
    if missing:
        with log.step(f"fetch {len(missing)} files"), journal.holding("directory", partial.resolve()):
            partial.mkdir()
            receive = receive_from_layer(layer) if layer else receive_pack(api, container)
            receive(artefacts, missing, partial)
            remove_earlier(output, [artefact.path.name for artefact in artefacts], partial)
            for artefact in missing:
                (partial / artefact.path.name).replace(here[artefact].path)
                digests.note(here[artefact].path, artefact.sha256)
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
