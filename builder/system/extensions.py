# SPDX-License-Identifier: MIT
"""Import the modules of a folder by their names, so that a new one needs no row in a table of modules."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TypeVar

Name = TypeVar("Name", bound=str)
Kind = TypeVar("Kind")


def load_named(folder: str | None, names: Iterable[Name], attribute: str, kind: type[Kind]) -> dict[Name, Kind]:
    """Return an attribute of the module of each name, by name.

    folder     dotted name of the package; the module of "flash-kernel" is FOLDER.flash_kernel
    names      members of a StrEnum; each must have its module
    attribute  name of the value in each module
    kind       its type; TypeError for another one

    The module that calls this depends on all modules below its own folder. builder.system.fingerprint finds the call if
    it is written on one line, as `NAME = load_named(__package__, …)`.
    """
    values = {}
    for name in names:
        module = import_module(f"{folder}.{name.replace('-', '_')}")
        value = getattr(module, attribute)
        if not isinstance(value, kind):
            raise TypeError(f"{module.__name__}.{attribute}: found {type(value).__name__}; expected {kind.__name__}")
        values[name] = value
    return values
