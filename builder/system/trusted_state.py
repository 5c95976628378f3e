# SPDX-License-Identifier: MIT
"""Check an untrusted state directory: parts that may be written to, and names in its journals.

The directory may come with an untrusted repository, links and journals included. What a link leads to would be
written to, and what a journal names would be removed, unmounted or detached; so nothing is written through a link, and
each name is held against the forms of those that builds give.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from builder.errors import MachineError
from builder.system.files import write_new
from builder.system.resources import Releaser, ResourceKind

_SCRATCH = r"/scratch-[0-9a-f]{8}"
_PARTIAL = r"/\.(?:partial-)?boardwright-[^/]+"
_REMOVE = "remove it, or name another directory with --state or --output"
FORMS: Mapping[ResourceKind, re.Pattern[str]] = {
    "directory": re.compile(rf"/.*(?:{_SCRATCH}|/scratch/[^/]+-[0-9]+-[0-9a-f]{{8}}|{_PARTIAL})"),
    "mount": re.compile(rf"/.*{_SCRATCH}/[^/]+"),
    "loop": re.compile(rf"/.*(?:{_SCRATCH}|{_PARTIAL})/[^/]+"),
    "container": re.compile(r"boardwright-[a-z0-9._-]+-[0-9a-f]{8}"),
}
"""Names of engine.container.make_job, Workspace.scratch, verify.check.open_scratch and the unfinished artefacts."""


def of_ours(releasers: Mapping[ResourceKind, Releaser]) -> Mapping[ResourceKind, Releaser]:
    """Return the same functions, limited to resources that a build can hold; MachineError for anything else."""
    return {kind: partial(_release, kind, releaser) for kind, releaser in releasers.items()}


def _release(kind: ResourceKind, releaser: Releaser, name: str) -> None:
    spellings = {name} if kind == "container" else {name, os.path.normpath(name), os.path.realpath(name)}
    if not all(FORMS[kind].fullmatch(spelling) for spelling in spellings):
        raise MachineError(
            f"a journal of this state directory names the {kind} {name}, which no build can hold; it is not released",
            hint="remove its journals/ if the directory came with a repository, or name another one with --state",
        )
    releaser(name)


def check_writable(state: Path) -> None:
    """Raise MachineError if a part of `state` is a link, or if this user may not write to it (root often owns it)."""
    existing = next(path for path in (state, *state.parents) if os.path.lexists(path))
    parts: list[Path] = []
    with suppress(OSError):
        parts += [path for path in state.iterdir() if path.is_dir()]
    check_parts(state / "locks", 1)
    check_parts(state / "rooms", 2)
    for part in parts:
        check_no_link(part)
    for part in (existing, *parts):
        if not os.access(part, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            raise MachineError(
                f"{part} may not be written to: it belongs to {_find_owner(part)}",
                hint=f"sudo chown -R {os.geteuid()} {shlex.quote(str(state))}, or name another directory with --state",
            )


def check_no_link(path: Path) -> None:
    """Raise MachineError for a part of a state or output directory that is a link: a repository may have brought it."""
    if path.is_symlink():
        raise MachineError(f"{path} is a link; expected a real file or directory", hint=_REMOVE)


def check_parts(directory: Path, depth: int) -> None:
    """Raise MachineError if a part of the state directory, or an entry up to `depth` levels down, is a link or a
    special file.

    The target of a link would be removed; a pipe or a device would be read without end.
    """
    check_no_link(directory)
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth > 1:
                    check_parts(Path(entry.path), depth - 1)
            elif not entry.is_file(follow_symlinks=False):
                check_no_link(path := Path(entry.path))
                if path.exists():  # A build that runs may have removed it.
                    raise MachineError(f"{path} is a special file; expected a file or a directory", hint=_REMOVE)


def write_state_file(path: Path, content: bytes) -> None:
    """Write a file of the state directory, and make its directory; MachineError if the directory is a link.

    A link with the name of the file is replaced; its target stays.
    """
    check_no_link(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_new(path, content)


def _find_owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):
        return "another user"
