# SPDX-License-Identifier: MIT
"""Journal lines: the resources that a build holds and has released, one JSON object a line.

After a crash, the resources in these lines are unmounted, detached and removed. So a line counts only if it is complete
and names exactly one resource.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from builder.system.files import load_json
from builder.system.resources import ResourceKind

Event = Literal["hold", "free"]


@dataclass(frozen=True)
class HeldResource:
    """A resource: a loop device by its backing file, a mount by its target, a directory by its path, a container
    by its name."""

    kind: ResourceKind
    name: str


def render_line(event: Event, held: HeldResource) -> bytes:
    """Return the line of an event."""
    return json.dumps({"event": event, "kind": held.kind, "name": held.name}).encode() + b"\n"


def read_held(lines: Iterable[str]) -> tuple[HeldResource, ...]:
    """Return the resources that were not released, newest first."""
    held: list[HeldResource] = []
    for text in lines:
        line = load_line(text)
        if line is None:
            continue  # Killed while writing this line: its resource was not taken yet.
        event, resource = line
        if event == "hold":
            held.append(resource)
        elif resource in held:
            held.remove(resource)
    return tuple(reversed(held))


def load_line(text: str) -> tuple[Event, HeldResource] | None:
    """Return an event and its resource; None for a line that cannot be read."""
    try:
        entry = load_json(text)
        event, kind, name = entry["event"], entry["kind"], entry["name"]
    except (ValueError, KeyError, TypeError):
        return None
    if event not in get_args(Event) or kind not in get_args(ResourceKind) or not _is_one_thing(name):
        return None
    return event, HeldResource(kind, name)


def _is_one_thing(name: object) -> bool:
    """Return whether a name can be a resource of a build: not the root directory, and without ".."."""
    if not isinstance(name, str) or "\0" in name:
        return False
    parts = Path(name).parts
    return ".." not in parts and parts not in ((), ("/",), ("//",))
