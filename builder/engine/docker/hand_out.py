# SPDX-License-Identifier: MIT
"""Artefacts on their way out of a container: the image while its specs still run, the rest when the build has ended.

They come from the Engine's storage (layer.py) where this process may read it, else as packs (pack.py) through the
Engine's archive call. Either way they are written beside their final place, zeros as holes, checked against the
digest that the build announced, and moved only when the build has ended well and all of them are there.
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
"""File in a container that tells its build how the artefacts leave it: PACKS, or nothing for as files."""
PACKS = b"packs"
LARGEST_BYTES = 1 << 60


@dataclass(frozen=True)
class CopyMethod:
    """How files leave a container."""

    container: str
    layer: Path | None
    """Directory of what was written in it, where this process can read that; packs without."""

    def receive(
        self,
        announced: Sequence[Artefact],
        wanted: Sequence[Artefact],
        directory: Path,
        *,
        pack: Path,
        stopped: threading.Event,
    ) -> None:
        """Write the wanted files into a directory; TrustError, SpaceError, ToolError, or Interrupted once `stopped`."""

        def check() -> None:
            if stopped.is_set():
                raise Interrupted("stopped while fetching")

        begun = time.monotonic()
        if self.layer:
            receive_from_layer(self.layer, wanted, directory, check)
        else:
            # A client of its own: another thread follows the build by the one that there is.
            with open_engine() as api, open_pack(api, self.container, pack) as pieces:
                unpack(_checked(pieces, check), announced, wanted, directory)
        seconds, size = time.monotonic() - begun, sum(artefact.size_bytes for artefact in wanted)
        names = wanted[0].path.name if len(wanted) == 1 else f"{len(wanted)} files"
        log.emit(Event("note", f"{names}: {render_size(size)} fetched in {seconds:.1f} s", {"seconds": seconds}))


class HandOut:
    """The artefacts of one build in a container, on their way into `output`."""

    def __init__(self, way: CopyMethod, output: Path, journal: Journal, digests: Digests, stack: ExitStack) -> None:
        self._way, self._output, self._journal, self._digests, self._stack = way, output, journal, digests, stack
        self._partial = output / f".partial-{way.container}"
        self._stopped = threading.Event()
        self._image: Artefact | None = None
        self._fetched: Future[None] | None = None

    def begin(self, row: Mapping[str, Any]) -> None:
        """Start to fetch an image whose specs still run, unless it is in the output already; ToolError for a row that
        is none."""
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
        """Move the files of a build that has ended well into the output and return them there; all of them or none.
        What is there already is left alone.

        Raises TrustError (a digest differs, a pack is damaged), SpaceError (this disk is full) and ToolError (a file is
        not there).
        """
        here = {artefact: replace(artefact, path=self._output / artefact.path.name) for artefact in artefacts}
        missing = [artefact for artefact in artefacts if self._digests.find(here[artefact].path) != artefact.sha256]
        if missing:
            with log.step(f"fetch {len(missing)} files"):
                self._hold()
                if rest := [artefact for artefact in missing if not self._is_fetched(artefact)]:
                    self._way.receive(artefacts, rest, self._partial, pack=PACK, stopped=self._stopped)
                remove_earlier(self._output, [artefact.path.name for artefact in artefacts], self._partial)
                for artefact in missing:
                    give_name(self._partial / artefact.path.name, here[artefact].path, durable=False)
                    self._digests.note(here[artefact].path, artefact.sha256)
        return tuple(here.values())

    def _hold(self) -> None:
        """Have the directory of unfinished files."""
        if not self._partial.exists():
            self._output.mkdir(parents=True, exist_ok=True)
            self._stack.enter_context(self._journal.holding("directory", self._partial.resolve()))
            self._partial.mkdir()

    def _fetch_image(self, image: Artefact) -> None:
        self._way.receive([image], [image], self._partial, pack=IMAGE_PACK, stopped=self._stopped)

    def _is_fetched(self, artefact: Artefact) -> bool:
        """Wait for the image, if it is under way; say whether it is this file."""
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
    """Yield what takes files out of a container into `output`; what is unfinished at the end is removed.

    digests  those that are known of files in `output`
    """
    with ExitStack() as stack:
        yield HandOut(way, output, journal, digests, stack)


def _checked(pieces: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        check()
        yield piece


def read_announced(rows: Any) -> list[Artefact]:
    """Return the artefacts that a build in a container announced; ToolError where a row is not one."""
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
