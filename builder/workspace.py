# SPDX-License-Identifier: MIT
"""The work directory: one locked room per board, and a journal of everything held.

A journal has one JSON line per event: `hold` is on the disk before a thing is taken, `free` after it was given
back. The same functions give back at the end of a block and after a crash, so the second path is as tested as the
first. A journal's owner is whoever holds the lock on it: the kernel drops that lock when the owner dies, however
it dies, and across containers that share the directory.

    STATE/rooms/<board>/        the board's room: rootfs, scratch files, logs
    STATE/locks/<board>         held while the room is in use
    STATE/journals/<id>.jsonl   one per running build; gone after a clean end
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from builder import log
from builder.errors import BoardwrightError, BusyError
from builder.resources import RELEASERS, Releaser, ResourceKind, is_mounted, loop_devices

__all__ = [
    "RELEASERS",
    "Held",
    "Journal",
    "Leftovers",
    "Releaser",
    "ResourceKind",
    "Workspace",
    "find_leftovers",
    "is_mounted",
    "loop_devices",
    "open_journal",
    "open_workspace",
    "release",
]


@dataclass(frozen=True)
class Held:
    """A resource: a loop device by its backing file, a mount by its target, a directory by its path, a container
    by its name."""

    kind: ResourceKind
    name: str


@dataclass(frozen=True)
class Leftovers:
    """What a build that is gone did not give back, in the order to give it back."""

    journal: Path
    held: tuple[Held, ...]


class Journal:
    """The held resources of one build."""

    def __init__(self, path: Path, stream: IO[str], releasers: Mapping[ResourceKind, Releaser]) -> None:
        self.path = path
        self._stream = stream
        self._releasers = releasers
        self._held: list[Held] = []

    @property
    def is_clear(self) -> bool:
        """True when everything that was held was given back."""
        return not self._held

    @contextmanager
    def holding(self, kind: ResourceKind, name: str | Path) -> Iterator[None]:
        """Declare a resource, then take it inside the block; it is given back when the block ends, also if taking
        it failed half way. What cannot be given back raises (or is a note on the error in flight), and stays in
        the journal."""
        held = Held(kind, str(name))
        self._write("hold", held)
        self._held.append(held)
        try:
            yield
        except BaseException as error:
            try:
                self._give_back(held)
            except (BoardwrightError, OSError) as second:
                error.add_note(f"besides, the {kind} {name} could not be given back: {second}")
            raise
        self._give_back(held)

    def _give_back(self, held: Held) -> None:
        self._releasers[held.kind](held.name)
        self._write("free", held)
        self._held.remove(held)

    def _write(self, event: Literal["hold", "free"], held: Held) -> None:
        self._stream.write(json.dumps({"event": event, "kind": held.kind, "name": held.name}) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


@dataclass(frozen=True)
class Workspace:
    """A board's room during one build. Every path of it has its name here."""

    room: Path
    journal: Journal

    @property
    def rootfs(self) -> Path:
        """The finished tree of the last build; `shell` opens it."""
        return self.room / "rootfs"

    @property
    def scratch(self) -> Path:
        """Files of the running build; empty at its start."""
        return self.room / "scratch"

    @property
    def log_file(self) -> Path:
        """What the tools of the last build said."""
        return self.room / "build.log"


@contextmanager
def open_workspace(
    state: Path,
    board: str,
    *,
    wait: bool = True,
    releasers: Mapping[ResourceKind, Releaser] | None = None,
) -> Iterator[Workspace]:
    """Lock the room of `board` below `state`, clean it, and yield it with a journal.

    A second build of the same board waits for the first, or raises BusyError with `wait=False`. Leftovers of
    builds that are gone are given back first.
    """
    known = releasers or RELEASERS
    for leftovers in find_leftovers(state):
        if not all(held.kind in known for held in leftovers.held):
            continue  # Somebody else's, who knows how: an Engine's containers.
        log.note(f"giving back what an interrupted build left ({len(leftovers.held)} things)")
        release(leftovers, known)
    with _locked(state / "locks" / board, board, wait=wait), open_journal(state, board, known) as journal:
        workspace = Workspace(state / "rooms" / board, journal)
        workspace.room.mkdir(parents=True, exist_ok=True)
        with journal.holding("directory", workspace.scratch):
            RELEASERS["directory"](str(workspace.scratch))
            workspace.scratch.mkdir()
            yield workspace


@contextmanager
def open_journal(state: Path, name: str, releasers: Mapping[ResourceKind, Releaser]) -> Iterator[Journal]:
    """Start a journal; its file goes away when everything was given back."""
    path = state / "journals" / f"{name}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    unnamed = path.with_suffix(".new")  # Under its name only once locked: unlocked, it would look like a leftover.
    with unnamed.open("x", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        unnamed.rename(path)
        journal = Journal(path, stream, releasers)
        try:
            yield journal
        finally:
            if journal.is_clear:
                path.unlink()


def find_leftovers(state: Path) -> list[Leftovers]:
    """Return what builds that are gone left behind; builds that still run are not listed."""
    found = []
    for path in sorted((state / "journals").glob("*.jsonl")):
        try:
            with path.open(encoding="utf-8") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(Leftovers(path, _still_held(stream)))
        except (FileNotFoundError, BlockingIOError):
            continue  # Its build came to an end between listing and opening, or still runs.
    return found


def release(leftovers: Leftovers, releasers: Mapping[ResourceKind, Releaser]) -> None:
    """Give back what a journal says is held, newest first, and remove the journal. Two that try take turns."""
    try:
        stream = leftovers.journal.open(encoding="utf-8")
    except FileNotFoundError:
        return  # Somebody else was quicker.
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for held in leftovers.held:
            releasers[held.kind](held.name)
        leftovers.journal.unlink(missing_ok=True)


def _still_held(stream: IO[str]) -> tuple[Held, ...]:
    held: list[Held] = []
    for text in stream:
        try:
            entry = json.loads(text)
        except ValueError:
            continue  # Killed while writing this line: what it announces was not taken yet.
        resource = Held(entry["kind"], entry["name"])
        if entry["event"] == "hold":
            held.append(resource)
        else:
            held.remove(resource)
    return tuple(reversed(held))


@contextmanager
def _locked(path: Path, board: str, *, wait: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = f"process {stream.read().strip() or '?'}"
            if not wait:
                raise BusyError(
                    f"board {board} is being built by {holder}",
                    hint="wait for it, or build without --no-wait",
                ) from None
            log.note(f"waiting for {holder}, which builds board {board} now")
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
        stream.truncate(0)
