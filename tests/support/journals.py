# SPDX-License-Identifier: MIT
"""Journals of a state directory: read, written by hand, and releasers that record what they are given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from builder.errors import ToolError
from builder.system.workspace import (
    Journal,
    Releaser,
    ResourceKind,
)


class Recorder:
    """Releasers that note what they are given, and fail for what is called broken."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, name: str) -> None:
        if name == "broken":
            raise ToolError("it will not go")
        self.given.append(name)

    @property
    def releasers(self) -> Mapping[ResourceKind, Releaser]:
        return {"loop": self, "mount": self, "directory": self, "container": self}


def events(journal: Journal) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    return [(line["event"], line["name"]) for line in lines]


def journals(state: Path) -> list[Path]:
    return list((state / "journals").iterdir())
