# SPDX-License-Identifier: MIT
"""Download files of a release by size and digest.

A file is written as `.<name>.partial`, and gets its name when its digest is correct. After a failed connection or a
killed process the partial file stays, and the next call resumes the download. Its old content is not trusted: the
digest of the whole file decides.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from builder import log
from builder.errors import BusyError, RecipeError, TrustError, disk_full_as_space_error
from builder.fetch.read import find, open_at
from builder.fetch.sources import BOARD, TAG, GitHubSource, HttpSource, Source, open_source
from builder.net import http
from builder.net.http import bare
from builder.net.progress import Progress
from builder.net.retry import TemporaryError, retry
from builder.packaging.model import RELEASE_NAME, PackagedFile, Release, render
from builder.system.atomic import give_name, write_replaced
from builder.system.checksums import sha256_file
from builder.system.files import open_unfinished
from builder.system.locks import lock_named
from builder.system.trusted_state import check_parts
from builder.units import MIB, render_size

LEVELS = 3
"""Levels below the directory of downloads: tags, boards, files."""
AGAIN = "run the same command again: it resumes the download"


def download(url: str, file: PackagedFile, directory: Path) -> Path:
    """Return `directory`/<name> with the size and digest of `file`; an existing correct file is not downloaded again.

    Raises TrustError (wrong content, which is removed), DownloadError (the partial file stays for the next call),
    BusyError (another process is downloading it) and SpaceError.
    """
    target = directory / file.name
    if target.is_file():
        if target.stat().st_size == file.size_bytes and sha256_file(target) == file.sha256:
            if file.size_bytes > MIB:
                log.note(f"{target} exists already, with the right digest")
            return target
        log.warn(f"{target} differs from the release; it will be replaced")
    directory.mkdir(parents=True, exist_ok=True)
    with disk_full_as_space_error(target), _partial(directory / f".{file.name}.partial") as stream:
        resumed = _size(stream)
        if 0 < resumed <= file.size_bytes:
            log.note(f"{file.name}: resuming after {render_size(resumed)} of {render_size(file.size_bytes)}")
        sha256 = _fill(url, file, stream)
        if sha256 != file.sha256 and resumed:
            log.note(f"{file.name}: the resumed download has a wrong digest; downloading all of it again")
            stream.truncate(0)
            sha256 = _fill(url, file, stream)
        if sha256 != file.sha256:
            Path(stream.name).unlink()
            raise _wrong_digest(url, file, sha256)
        give_name(Path(stream.name), target)
    return target


def download_release(address: str, into: Path) -> Path:
    """Download a release, or one board of it, and return its directory: INTO/<tag>, or INTO/<tag>/<board>.

    address  https://ADDRESS/<tag>, https://ADDRESS/<tag>/<board>, the same as file:// or directory, or
             github:OWNER/REPO@<tag>, github:OWNER/REPO@<tag>/<board>

    Digests come from release.json, which is not signed: they prove that the download is complete, not its origin.
    Raises RecipeError (unknown address, release or board), ReleaseError and the errors of `download`.
    """
    source, release, boards = _open_release(address)
    directory = into / release.tag
    with log.step(f"download {release.tag} from {source.name}"):
        for board in boards:
            for file in release.boards[board].files:
                download(source.address(release.tag, board, file.name), file, directory / board)
    write_replaced(directory / RELEASE_NAME, render(release))
    return directory if len(boards) == len(release.boards) else directory / boards[0]


@contextmanager
def open_release(address: str, scratch: Path) -> Iterator[Path]:
    """Yield the directory of a release: a local one unchanged, or a remote one downloaded below `scratch`.

    A complete download is removed at the end of the block. A failed one stays, and the next call resumes it. Raises
    the errors of `download_release`, and MachineError if a link leads out of `scratch`.
    """
    if Path(address).is_dir():
        yield Path(address)
        return
    check_parts(scratch, LEVELS)
    directory = download_release(address, scratch)
    try:
        yield directory
    finally:
        shutil.rmtree(directory if (directory / RELEASE_NAME).exists() else directory.parent)


def _open_release(address: str) -> tuple[Source, Release, list[str]]:
    """Return the source, the release and the requested boards of an address."""
    base, tag, board = _split(address)
    source = open_source(base)
    release = source.tagged(tag) if re.fullmatch(TAG, tag) else None
    if release is None:
        hint = "add its tag: https://ADDRESS/v1.0, https://ADDRESS/v1.0/BOARD or github:OWNER/REPO@v1.0"
        message = f"{address}: {source.name} has no {tag}/release.json; expected the address of a release"
        raise RecipeError(message, hint=hint)
    if board and board not in release.boards:
        raise unknown_board(board, release)
    return source, release, [board] if board else list(release.boards)


def _split(address: str) -> tuple[str, str, str]:
    """Return (address of the releases, tag, board or "")."""
    if match := re.fullmatch(r"(github:[^@]+)@([^/]+)(?:/(.+))?", address):
        return match[1], match[2], match[3] or ""
    source = open_source(address)
    if isinstance(source, GitHubSource):
        hint = f"add a tag: {address}@v1.0, or use boardwright fetch --from {address}"
        raise RecipeError(f"{address} has many releases; expected the address of one", hint=hint)
    above, _, last = source.base.rpartition("/") if isinstance(source, HttpSource) else ("", "", "")
    if find(f"{above}/{last}/release.json") is not None or not re.fullmatch(BOARD, last):
        return above, last, ""
    return (*_cut(above), last)


def _cut(base: str) -> tuple[str, str]:
    above, _, last = base.rpartition("/")
    return above, last


def unknown_board(board: str, release: Release) -> RecipeError:
    """Return the error for a board that is missing in a release."""
    return RecipeError(f"{release.tag} has no board {board}", hint=f"use one of: {', '.join(sorted(release.boards))}")


@contextmanager
def _partial(path: Path) -> Iterator[IO[bytes]]:
    """Yield an unfinished file, locked by this process."""
    with open_unfinished(path) as stream:
        if not lock_named(stream, path, wait=False):  # Held, or ended just now: then it has got its final name.
            raise BusyError(f"another call is fetching {path}", hint="wait for it, or name another --output")
        yield stream


def _size(stream: IO[bytes]) -> int:
    return os.fstat(stream.fileno()).st_size


def _fill(url: str, file: PackagedFile, stream: IO[bytes]) -> str:
    """Download the rest of a file into the stream, and return the sha256 of all of it."""
    step = log.step(f"fetch {file.name} ({render_size(file.size_bytes)})")
    with step if file.size_bytes > MIB else nullcontext():
        retry(http.RETRIES, bare(url), lambda: _attempt(url, file, stream), hint=AGAIN)
        return sha256_file(Path(stream.name))


def _attempt(url: str, file: PackagedFile, stream: IO[bytes]) -> None:
    if _size(stream) > file.size_bytes:
        stream.truncate(0)
    start = _size(stream)
    if start == file.size_bytes:
        return
    with open_at(url, start) as opened:
        stream.truncate(opened.start)
        size_bytes = _receive(url, file, opened.start, opened.pieces, stream)
    if size_bytes < file.size_bytes:
        if size_bytes == start:
            stream.truncate(0)  # The server has nothing from there on: it may be another file by now.
        raise TemporaryError(f"the file ended after {size_bytes} of {file.size_bytes} bytes")


def _receive(url: str, file: PackagedFile, size_bytes: int, pieces: Iterator[bytes], stream: IO[bytes]) -> int:
    """Append the received bytes to the stream, and return its size."""
    try:
        with Progress(file.name, file.size_bytes, size_bytes) as progress:
            for piece in pieces:
                size_bytes += len(piece)
                if size_bytes > file.size_bytes:
                    Path(stream.name).unlink()
                    raise TrustError(
                        f"{bare(url)}: found more than {file.size_bytes} bytes", hint="it is not what was released"
                    )
                stream.write(piece)
                progress.update(len(piece))
    finally:
        stream.flush()
    return size_bytes


def _wrong_digest(url: str, file: PackagedFile, sha256: str) -> TrustError:
    return TrustError(
        f"{bare(url)}: found sha256 {sha256}; expected {file.sha256}",
        hint="it differs from the release; do not use it, and tell its publisher",
    )
