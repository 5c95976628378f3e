# SPDX-License-Identifier: MIT
"""Find the file with passwords of package archives, in the format of apt_auth.conf(5).

APT reads it in place during a build. Its content never goes into a recipe, log, record, cache key or image.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder.errors import RecipeError
from builder.system.files import InputError, read_text
from builder.units import MIB

VARIABLE = "BOARDWRIGHT_APT_AUTH"
"""Environment variable with the path of the file."""
WORDS = ("machine", "login", "password")
"""Keywords of apt_auth.conf(5)."""


def find_auth() -> Path | None:
    """Return the absolute path of the file, or None if the variable is unset; RecipeError for an unusable file."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named).absolute()
    if any(sign in str(path) for sign in '";\\\n'):
        raise RecipeError(f"{VARIABLE}: found {str(path)!r}; expected a path without quote, semicolon or backslash")
    hint = "write lines of the form: machine HOST login NAME password WORD"
    try:
        tokens = read_text(path, limit=MIB).split()
    except InputError as error:
        raise RecipeError(f"{VARIABLE}: {error.message}", hint=hint) from None
    if not set(WORDS) <= set(tokens):
        raise RecipeError(f"{VARIABLE}: {path} has no line of apt_auth.conf", hint=hint)
    return path


def render_option() -> str:
    """Return the line of apt.conf that names the file, or APT's default without one."""
    path = find_auth()
    return f'Dir::Etc::netrc "{path}"' if path else 'Dir::Etc::netrc "auth.conf"'
