# SPDX-License-Identifier: MIT
"""The work directory: one locked room per board, and a journal of all held resources.

A journal has one JSON line per event: `hold` is on the disk before a resource is taken, `free` after it was released.
The same functions release at the end of a block and after a crash, so the second path is as tested as the first. The
process that holds its lock owns a journal. The kernel drops that lock when the process ends for any reason, also across
containers that share the directory. No two builds hold a resource of the same name, so the release of leftovers never
affects a running build.

    STATE/rooms/<board>/        the board's room: rootfs, logs, a scratch directory for each build
    STATE/locks/<board>         held while the room is in use
    STATE/journals/<id>.jsonl   one per running build; gone after a clean end
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from builder import log
from builder.errors import BoardwrightError, BusyError, SpaceError, disk_full_as_space_error
from builder.system.journal import Event, HeldResource, read_held, render_line
from builder.system.lock_holder import read_holder, write_holder
from builder.system.locks import lock, lock_named
from builder.system.resources import RELEASERS, Releaser, ResourceKind, is_mounted, loop_devices
from builder.system.signals import held_off
from builder.system.trusted_state import check_no_link, check_parts, check_writable, of_ours

__all__ = [
    "RELEASERS",
    "HeldResource",
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
class Leftovers:
    """Resources that a dead build did not release, in the order of release."""

    journal: Path
    held: tuple[HeldResource, ...]


class Journal:
    """The held resources of one build."""

    def __init__(self, path: Path, stream: FileIO, releasers: Mapping[ResourceKind, Releaser]) -> None:
        self.path = path
        self._stream = stream
        self._releasers = releasers
        self._held: list[HeldResource] = []

    @property
    def is_clear(self) -> bool:
        """True if all resources were released."""
        return not self._held

    @contextmanager
    def holding(self, kind: ResourceKind, name: str | Path) -> Iterator[None]:
        """Declare a resource; the block takes it. It is released when the block ends, also if taking it has failed.

        A failed release raises, or is a note on the error of the block; the resource stays in the journal.
        """
        held = HeldResource(kind, str(name))
        try:
            with held_off():
                self._write("hold", held)
                self._held.append(held)
            yield
        except BaseException as error:
            try:
                self._give_back(held)
            except (BoardwrightError, OSError) as second:
                error.add_note(f"the {kind} {name} could not be released: {second}")
            raise
        self._give_back(held)

    def _give_back(self, held: HeldResource) -> None:
        with held_off():
            if not any(resource is held for resource in self._held):
                return  # Its line could not be written.
            self._releasers[held.kind](held.name)
            self._held = [resource for resource in self._held if resource is not held]
            with suppress(SpaceError):  # The disk is full: after a crash now it would be released again.
                self._write("free", held)

    def _write(self, event: Event, held: HeldResource) -> None:
        """Append a line and sync it; on a full disk, raise SpaceError and write no part of the line."""
        rest = render_line(event, held)
        end = self._stream.tell()
        try:
            with disk_full_as_space_error(self.path):
                while rest:
                    rest = rest[self._stream.write(rest) :]
                os.fsync(self._stream.fileno())
        except SpaceError:
            self._stream.seek(end)
            self._stream.truncate()
            raise


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
        """Files of the running build; empty at its start, and never the name of another build's."""
        return self.room / f"scratch-{self.journal.path.stem.rpartition('-')[2]}"

    @property
    def log_file(self) -> Path:
        """Output of the tools in the last build."""
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
    builds that are gone are given back first; the one that was waited for may be among them.
    """
    known = releasers or RELEASERS
    left = releasers or of_ours(RELEASERS)
    check_writable(state)
    with disk_full_as_space_error(state), _locked(state / "locks" / board, board, wait=wait):
        _give_back_leftovers(state, left)
        with open_journal(state, board, known) as journal:
            workspace = Workspace(state / "rooms" / board, journal)
            check_no_link(workspace.room)
            workspace.room.mkdir(parents=True, exist_ok=True)
            with journal.holding("directory", workspace.scratch):
                workspace.scratch.mkdir()
                yield workspace


def _give_back_leftovers(state: Path, known: Mapping[ResourceKind, Releaser]) -> None:
    for leftovers in find_leftovers(state):
        if not all(held.kind in known for held in leftovers.held):
            continue  # Contains containers; only the Engine code can release those.
        if leftovers.held:
            log.note(f"releasing the resources of an interrupted build ({len(leftovers.held)})")
        release(leftovers, known)


@contextmanager
def open_journal(state: Path, name: str, releasers: Mapping[ResourceKind, Releaser]) -> Iterator[Journal]:
    """Start a journal; its file goes away when everything was given back. MachineError where this user may not."""
    check_writable(state)
    directory = state / "journals"
    directory.mkdir(parents=True, exist_ok=True)
    path, stream = _make_journal(directory, name)
    with stream:
        journal = Journal(path, stream, releasers)
        try:
            yield journal
        finally:
            with held_off():
                if journal.is_clear:
                    path.unlink()


def _make_journal(directory: Path, name: str) -> tuple[Path, FileIO]:
    """Return a new journal, locked. Until it is, it looks like a leftover, and another process may remove it."""
    while True:
        path = directory / f"{name}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        with disk_full_as_space_error(path):
            stream = path.open("xb", buffering=0)
        if lock_named(stream, path):
            return path, stream
        stream.close()


def find_leftovers(state: Path) -> list[Leftovers]:
    """Return the leftovers of ended builds, without those of running builds; MachineError for a link."""
    check_parts(state / "journals", 1)
    leftovers = []
    for path in sorted((state / "journals").glob("*.jsonl")):
        try:
            with path.open(encoding="utf-8", errors="replace") as stream:
                if lock(stream, wait=False):  # Else its build still runs.
                    leftovers.append(Leftovers(path, read_held(stream)))
        except FileNotFoundError:
            continue  # Its build came to an end between listing and opening.
    return leftovers


def release(leftovers: Leftovers, releasers: Mapping[ResourceKind, Releaser]) -> None:
    """Release the resources in a journal, newest first, and remove it; do nothing if another process does so."""
    try:
        stream = leftovers.journal.open(encoding="utf-8")
    except FileNotFoundError:
        return  # Another process released it first.
    with stream:
        if not lock_named(stream, leftovers.journal, wait=False):
            return  # Another process releases it or just did, or its owner has not locked it yet.
        for held in leftovers.held:
            releasers[held.kind](held.name)
        leftovers.journal.unlink()


@contextmanager
def _locked(path: Path, board: str, *, wait: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    check_no_link(path)  # The target of a link would be emptied.
    with path.open("a+", encoding="utf-8") as stream:
        if not lock(stream, wait=False):
            holder = f"board {board} is being built by {read_holder(stream)}"
            if not wait:
                raise BusyError(holder, hint="wait for it, or build without --no-wait")
            log.note(f"{holder}; waiting for its end")
            lock(stream)
        write_holder(stream)
        yield
        stream.truncate(0)
