# SPDX-License-Identifier: MIT
"""Files of a release, downloaded by size and digest.

A file is written as `.<name>.partial` and gets its name when its digest is the one that was asked for. After a broken
connection or a killed process the partial file stays, and the next call goes on where it ended; whatever was in it,
the digest decides.
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
from builder.fetch.sources import BOARD, TAG, GitHub, Source, Tree, open_source
from builder.net import http
from builder.net.http import bare
from builder.net.progress import Progress
from builder.net.retry import TemporaryError, retry
from builder.packaging.model import RELEASE_NAME, File, Release, render
from builder.system.atomic import give_name, write_replaced
from builder.system.checksums import sha256_file
from builder.system.files import open_unfinished
from builder.system.locks import lock_named
from builder.system.trusted_state import check_parts
from builder.units import MIB, render_size

LEVELS = 3
"""Below the directory of downloads: tags, boards, files."""
AGAIN = "call it again: it goes on where it ended"


def download(url: str, file: File, directory: Path) -> Path:
    """Return `directory`/<name> with the size and digest of `file`; what is there already is not fetched again.

    Raises TrustError (other content; nothing of it stays), DownloadError (what came so far stays, to go on with),
    BusyError (another process is at it) and SpaceError.
    """
    target = directory / file.name
    if target.is_file():
        if target.stat().st_size == file.size_bytes and sha256_file(target) == file.sha256:
            if file.size_bytes > MIB:
                log.note(f"{target} is there already, and whole")
            return target
        log.warn(f"{target} is another file; it will be replaced")
    directory.mkdir(parents=True, exist_ok=True)
    with disk_full_as_space_error(target), _partial(directory / f".{file.name}.partial") as stream:
        resumed = _size(stream)
        if 0 < resumed <= file.size_bytes:
            log.note(f"{file.name}: goes on after {render_size(resumed)} of {render_size(file.size_bytes)}")
        found = _fill(url, file, stream)
        if found != file.sha256 and resumed:
            log.note(f"{file.name}: what an earlier call left does not fit; it is fetched anew")
            stream.truncate(0)
            found = _fill(url, file, stream)
        if found != file.sha256:
            Path(stream.name).unlink()
            raise _wrong_digest(url, file, found)
        give_name(Path(stream.name), target)
    return target


def download_release(place: str, into: Path) -> Path:
    """Download a release, or one board of it, and return its directory: INTO/<tag>, or INTO/<tag>/<board>.

    place  https://ADDRESS/<tag>, https://ADDRESS/<tag>/<board>, the same as file:// or directory, or
           github:OWNER/REPO@<tag>, github:OWNER/REPO@<tag>/<board>

    Digests are those of release.json, so this says that the download is complete, not who made it. Raises RecipeError
    (no such place, release or board), ReleaseError and those of `download`.
    """
    source, release, boards = _open_release(place)
    directory = into / release.tag
    with log.step(f"download {release.tag} of {source.name}"):
        for board in boards:
            for file in release.boards[board].files:
                download(source.address(release.tag, board, file.name), file, directory / board)
    write_replaced(directory / RELEASE_NAME, render(release))
    return directory if len(boards) == len(release.boards) else directory / boards[0]


@contextmanager
def opened_release(place: str, scratch: Path) -> Iterator[Path]:
    """Yield the directory of a release: one of this machine as it is, another one downloaded below `scratch`.

    What was downloaded is gone with the block. What broke off stays, and the next call goes on with it. Raises as
    `download_release`, and MachineError where a link leads out of `scratch`.
    """
    if Path(place).is_dir():
        yield Path(place)
        return
    check_parts(scratch, LEVELS)
    directory = download_release(place, scratch)
    try:
        yield directory
    finally:
        shutil.rmtree(directory if (directory / RELEASE_NAME).exists() else directory.parent)


def _open_release(place: str) -> tuple[Source, Release, list[str]]:
    """Return where a release is, what it says, and which boards of it are wanted."""
    base, tag, board = _split(place)
    source = open_source(base)
    release = source.tagged(tag) if re.fullmatch(TAG, tag) else None
    if release is None:
        hint = "name its tag too: https://ADDRESS/v1.0, https://ADDRESS/v1.0/BOARD or github:OWNER/REPO@v1.0"
        raise RecipeError(f"{place} is no release: {source.name} has no {tag}/release.json", hint=hint)
    if board and board not in release.boards:
        raise unknown_board(board, release)
    return source, release, [board] if board else list(release.boards)


def _split(place: str) -> tuple[str, str, str]:
    """Return (place of the releases, tag, board or nothing)."""
    if match := re.fullmatch(r"(github:[^@]+)@([^/]+)(?:/(.+))?", place):
        return match[1], match[2], match[3] or ""
    whole = open_source(place)
    if isinstance(whole, GitHub):
        hint = f"{place}@v1.0, or boardwright fetch --from {place}"
        raise RecipeError(f"{place} has many releases; name one", hint=hint)
    above, _, last = whole.base.rpartition("/") if isinstance(whole, Tree) else ("", "", "")
    if find(f"{above}/{last}/release.json") is not None or not re.fullmatch(BOARD, last):
        return above, last, ""
    return (*_cut(above), last)


def _cut(base: str) -> tuple[str, str]:
    above, _, last = base.rpartition("/")
    return above, last


def unknown_board(board: str, release: Release) -> RecipeError:
    """Return the error for a board that a release does not have."""
    return RecipeError(f"{release.tag} has no board {board}", hint=f"it has: {', '.join(sorted(release.boards))}")


@contextmanager
def _partial(path: Path) -> Iterator[IO[bytes]]:
    """Hold an unfinished file for this process alone."""
    with open_unfinished(path) as stream:
        if not lock_named(stream, path, wait=False):  # Held, or ended just now: then it has got its final name.
            raise BusyError(f"another call is fetching {path}", hint="wait for it, or name another --output")
        yield stream


def _size(stream: IO[bytes]) -> int:
    return os.fstat(stream.fileno()).st_size


def _fill(url: str, file: File, stream: IO[bytes]) -> str:
    """Have as many bytes in the stream as the file has, and return their sha256."""
    said = log.step(f"fetch {file.name} ({render_size(file.size_bytes)})")
    with said if file.size_bytes > MIB else nullcontext():
        retry(http.RETRIES, bare(url), lambda: _attempt(url, file, stream), hint=AGAIN)
        return sha256_file(Path(stream.name))


def _attempt(url: str, file: File, stream: IO[bytes]) -> None:
    if _size(stream) > file.size_bytes:
        stream.truncate(0)
    start = _size(stream)
    if start == file.size_bytes:
        return
    with open_at(url, start) as opened:
        stream.truncate(opened.start)
        came = _receive(url, file, opened.start, opened.pieces, stream)
    if came < file.size_bytes:
        if came == start:
            stream.truncate(0)  # The server has nothing from there on: it may be another file by now.
        raise TemporaryError(f"the file ended after {came} of {file.size_bytes} bytes")


def _receive(url: str, file: File, came: int, pieces: Iterator[bytes], stream: IO[bytes]) -> int:
    """Append to the stream what comes, and return how much is there."""
    try:
        with Progress(file.name, file.size_bytes, came) as progress:
            for piece in pieces:
                came += len(piece)
                if came > file.size_bytes:
                    Path(stream.name).unlink()
                    raise TrustError(
                        f"{bare(url)} is longer than {file.size_bytes} bytes", hint="it is not what was released"
                    )
                stream.write(piece)
                progress.update(len(piece))
    finally:
        stream.flush()
    return came


def _wrong_digest(url: str, file: File, found: str) -> TrustError:
    return TrustError(
        f"{bare(url)} has sha256 {found}, wanted is {file.sha256}",
        hint="it is not what was released; do not use it, and tell its publisher",
    )
