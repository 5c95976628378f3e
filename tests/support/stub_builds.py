# SPDX-License-Identifier: MIT
"""Builds in a container whose builder is tests/support/engine_stub.py, and actions at an event of theirs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builder.engine.docker.cache_access import Access
from builder.engine.docker.run import NO_ACCESS, Outcome, run_in_docker
from builder.log import Event
from builder.request import BuildRequest
from tests.support.log import Heard

MIB = 1024 * 1024


@dataclass(frozen=True)
class StubBuild:
    """A build in a container whose stub behaves as the request's version says."""

    request: BuildRequest
    volume: str
    access: Access = NO_ACCESS

    @property
    def state(self) -> Path:
        return self.request.state

    @property
    def output(self) -> Path:
        return self.request.output

    def run(self) -> Outcome:
        return run_in_docker(self.request, self.access, volume=self.volume)

    def but(self, **changes: Any) -> StubBuild:
        """Return the same with other fields of the request."""
        return replace(self, request=self.request.model_copy(update=changes))


RequestOf = Callable[[str], StubBuild]
Containers = Callable[[], list[str]]


def on_first(heard: Heard, is_wanted: Callable[[Event], bool], act: Callable[[], None]) -> None:
    """Do something, once, at the moment of the first such event."""

    def look(event: Event) -> None:
        if is_wanted(event):
            heard.on_event = lambda _: None
            act()

    heard.on_event = look


def on_note(heard: Heard, text: str, act: Callable[[], None]) -> None:
    """Do something, once, at the moment a note arrives."""
    on_first(heard, lambda event: event.kind == "note" and event.text.startswith(text), act)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def is_clean(state: Path, output: Path) -> bool:
    return not list((state / "journals").glob("*")) and not list(output.glob(".partial*"))
