# SPDX-License-Identifier: MIT
"""A log sink that keeps what it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builder.log import Event


class Heard:
    """Events, in the order in which they came."""

    def __init__(self, *kinds: str) -> None:
        self.events: list[Event] = []
        self.kept: list[str] = []
        """Texts of the events of these kinds; of all without."""
        self.on_event: Callable[[Event], None] = lambda _: None
        self._kinds = kinds

    def show(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        if not self._kinds or event.kind in self._kinds:
            self.kept.append(event.text)
        self.on_event(event)

    def data(self, name: str) -> list[Any]:
        """Return what the events have under a name, "" where they have nothing."""
        return [event.data.get(name, "") for event in self.events]

    def texts(self, kind: str) -> list[str]:
        """Return the texts of one kind."""
        return [event.text for event in self.events if event.kind == kind]
