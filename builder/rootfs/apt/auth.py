# SPDX-License-Identifier: MIT
"""Passwords of package archives, which are in no recipe: a file in the form of apt_auth.conf(5).

APT reads it where it is while an image is made. Nothing of it goes into a log, a record, a key or the image.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder.errors import RecipeError
from builder.system.files import InputError, read_text
from builder.units import MIB

VARIABLE = "BOARDWRIGHT_APT_AUTH"
"""Names the file."""
WORDS = ("machine", "login", "password")


def find_auth() -> Path | None:
    """Return the file that the environment names, absolute; None without. RecipeError for one that cannot be used."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named).absolute()
    if any(sign in str(path) for sign in '";\\\n'):
        raise RecipeError(f"{VARIABLE}: the path has a quote, a semicolon or a backslash, which APT cannot read")
    try:
        words = read_text(path, limit=MIB).split()
    except InputError as error:
        hint = "its lines: machine HOST login NAME password WORD"
        raise RecipeError(f"{VARIABLE}: {error.message}", hint=hint) from None
    if not set(WORDS) <= set(words):
        raise RecipeError(
            f"{VARIABLE}: {path} has no line of apt_auth.conf", hint="its lines: machine HOST login NAME password WORD"
        )
    return path


def render_option() -> str:
    """Return the line of apt.conf that lets APT read the file; APT's own default where there is none."""
    path = find_auth()
    return f'Dir::Etc::netrc "{path}"' if path else 'Dir::Etc::netrc "auth.conf"'
