# SPDX-License-Identifier: MIT
"""Fetch artefacts from a container: the image while its specs still run, the rest when the build has ended.

They come from the Engine's storage (layer.py) if this process may read it, else as packs (pack.py) through the Engine's
archive call. Either way they are written to a directory for unfinished files, zeros as holes, and compared with the
announced digest. They are moved to the output only if the build has succeeded and all of them have arrived.
"""

from __future__ import annotations

import contextvars
import reprlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder import log
from builder.artefact.digest_cache import Digests
from builder.artefact.earlier import remove_earlier
from builder.artefact.files import Artefact
from builder.engine.docker.connect import open_engine
from builder.engine.docker.pack import IMAGE_PACK, PACK
from builder.engine.docker.receive import open_pack, receive_from_layer, unpack
from builder.errors import Interrupted, ToolError
from builder.log import Event
from builder.system.atomic import give_name
from builder.system.checksums import SHA256
from builder.system.workspace import Journal
from builder.units import render_size

REQUEST = Path("/build/hand-out")
"""File in a container with the form in which the build must offer its artefacts: PACKS, or empty for plain files."""
PACKS = b"packs"
LARGEST_BYTES = 1 << 60


@dataclass(frozen=True)
class CopyMethod:
    """The way in which files are copied out of a container."""

    container: str
    layer: Path | None
    """The container's layer in the Engine's storage, if this process can read it; else packs are used."""

    def receive(
        self,
        announced: Sequence[Artefact],
        artefacts: Sequence[Artefact],
        directory: Path,
        *,
        pack: Path,
        stopped: threading.Event,
    ) -> None:
        """Write artefacts into a directory; TrustError, SpaceError, ToolError, or Interrupted once `stopped`."""

        def check() -> None:
            if stopped.is_set():
                raise Interrupted("stopped while fetching")

        begun = time.monotonic()
        if self.layer:
            receive_from_layer(self.layer, artefacts, directory, check)
        else:
            # A separate client: another thread follows the build with the first one.
            with open_engine() as api, open_pack(api, self.container, pack) as pieces:
                unpack(_checked(pieces, check), announced, artefacts, directory)
        seconds, size = time.monotonic() - begun, sum(artefact.size_bytes for artefact in artefacts)
        names = artefacts[0].path.name if len(artefacts) == 1 else f"{len(artefacts)} files"
        log.emit(Event("note", f"{names}: {render_size(size)} fetched in {seconds:.1f} s", {"seconds": seconds}))


class HandOut:
    """Fetches the artefacts of one build in a container into `output`."""

    def __init__(self, way: CopyMethod, output: Path, journal: Journal, digests: Digests, stack: ExitStack) -> None:
        self._way, self._output, self._journal, self._digests, self._stack = way, output, journal, digests, stack
        self._partial = output / f".partial-{way.container}"
        self._stopped = threading.Event()
        self._image: Artefact | None = None
        self._fetched: Future[None] | None = None

    def begin(self, row: Mapping[str, Any]) -> None:
        """Start to fetch an image whose specs still run, unless the output has it; ToolError for an invalid row."""
        (image,) = read_announced(row)
        if self._image:
            raise ToolError(f"the build announced {image.path.name} too; expected one image")
        self._image = image
        if self._digests.find(self._output / image.path.name) == image.sha256:
            return
        self._hold()
        pool = self._stack.enter_context(ThreadPoolExecutor(max_workers=1))
        self._stack.callback(self._stopped.set)
        self._fetched = pool.submit(contextvars.copy_context().run, self._fetch_image, image)

    def finish(self, artefacts: Sequence[Artefact]) -> tuple[Artefact, ...]:
        """Move the files of a successful build into the output and return them there; all of them or none.

        Files that the output has already stay. Raises TrustError (a digest differs, a pack is damaged), SpaceError
        (this disk is full) and ToolError (a file is missing).
        """
        moved = {artefact: replace(artefact, path=self._output / artefact.path.name) for artefact in artefacts}
        missing = [artefact for artefact in artefacts if self._digests.find(moved[artefact].path) != artefact.sha256]
        if missing:
            with log.step(f"fetch {len(missing)} files"):
                self._hold()
                if rest := [artefact for artefact in missing if not self._is_fetched(artefact)]:
                    self._way.receive(artefacts, rest, self._partial, pack=PACK, stopped=self._stopped)
                remove_earlier(self._output, [artefact.path.name for artefact in artefacts], self._partial)
                for artefact in missing:
                    give_name(self._partial / artefact.path.name, moved[artefact].path, durable=False)
                    self._digests.note(moved[artefact].path, artefact.sha256)
        return tuple(moved.values())

    def _hold(self) -> None:
        """Make the directory of unfinished files, if it does not exist."""
        if not self._partial.exists():
            self._output.mkdir(parents=True, exist_ok=True)
            self._stack.enter_context(self._journal.holding("directory", self._partial.resolve()))
            self._partial.mkdir()

    def _fetch_image(self, image: Artefact) -> None:
        self._way.receive([image], [image], self._partial, pack=IMAGE_PACK, stopped=self._stopped)

    def _is_fetched(self, artefact: Artefact) -> bool:
        """Wait for the image, if it is being fetched; return whether it is this file."""
        image = self._image
        if not image or not self._fetched or image.path.name != artefact.path.name:
            return False
        target = self._partial / image.path.name
        try:
            self._fetched.result()
        except ToolError:  # The build had given it its final name before it was opened.
            target.unlink(missing_ok=True)
            return False
        if (image.size_bytes, image.sha256) == (artefact.size_bytes, artefact.sha256):
            return True
        target.unlink()
        return False


@contextmanager
def open_hand_out(way: CopyMethod, output: Path, journal: Journal, digests: Digests) -> Iterator[HandOut]:
    """Yield a HandOut from a container into `output`; unfinished files are removed at the end.

    digests  known digests of files in `output`
    """
    with ExitStack() as stack:
        yield HandOut(way, output, journal, digests, stack)


def _checked(pieces: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        check()
        yield piece


def read_announced(rows: Any) -> list[Artefact]:
    """Return the artefacts that a build in a container announced; ToolError for an invalid row."""
    artefacts = []
    for row in rows if isinstance(rows, list | tuple) else [rows]:
        try:
            artefact = Artefact(Path(row["path"]), int(row["size"]), str(row["sha256"]))
        except (TypeError, ValueError, KeyError, OverflowError):
            raise _wrong_row(row) from None
        name = artefact.path.name
        is_name = name not in ("", "..") and name.isprintable()
        if not is_name or not 0 <= artefact.size_bytes < LARGEST_BYTES or not SHA256.fullmatch(artefact.sha256):
            raise _wrong_row(row)
        artefacts.append(artefact)
    if len({artefact.path.name for artefact in artefacts}) != len(artefacts):
        raise ToolError("the build announced two files of one name; expected different names")
    return artefacts


def _wrong_row(row: object) -> ToolError:
    return ToolError(f"the build announced {reprlib.repr(row)}; expected path, size and sha256 of a file")
