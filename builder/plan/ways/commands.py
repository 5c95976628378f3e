# SPDX-License-Identifier: MIT
"""Commands and variables that a board's configuration may contain, because they grant no access.

A board's own program may be started: no check can tell what it does. A program of a package must not: with the right
arguments, many of them grant access (`passwd -d root`).
"""

from __future__ import annotations

import re

OWN = r"/(usr/local/(s?bin|lib|libexec|share)|opt|srv)/[A-Za-z0-9_+@./-]+"
_INTERPRETER = (
    "((/usr)?/bin/(ba|da)?sh|/usr/bin/(env )?python3( -[uBEsO]+)*|/usr/bin/(env )?node( --max-old-space-size=[0-9]+)?"
    "|/usr/bin/(env )?(perl|php|ruby))"
)
_OWN_COMMAND = re.compile(rf"({_INTERPRETER} )?({OWN}|\"{OWN}\")( .*)?")
_HARMLESS_COMMAND = re.compile(
    r"(/usr)?/bin/(true|false|sleep [0-9.]+|kill (-s )?-?(SIG)?(HUP|TERM|INT|QUIT|USR1|USR2) \$MAINPID)"
)
_COMPOSE = re.compile(
    rf"/usr/bin/docker compose( -f {OWN}| -p [a-z0-9_-]+)* (up|down|start|stop|restart|pull)( --?[a-z-]+)*"
)
"""Containers of the board's own are as its programs: they do what they like."""
_HARMLESS_NAMES = re.compile(
    "((https?|ftp|all|no)_proxy|LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|GO(MAXPROCS|MEMLIMIT|GC)"
    "|DOCKER_(RAMDISK|BUILDKIT)|COMPOSE_PROJECT_NAME|XDG_SESSION_TYPE|MAILTO)",
    re.IGNORECASE,
)
_NAMES_OF_COMMANDS = re.compile("EDITOR|VISUAL|PAGER")
_USUAL_COMMANDS = re.compile(
    "((/usr)?/bin/)?(vi|vim|nvim|nano|emacs|ed|joe|micro|mcedit|editor|sensible-editor|(less|more|cat)( -[A-Za-z]+)?)"
)
_PLAIN = "[A-Za-z0-9_.,:/@+=-]*"
"""Characters without a special meaning for shells and systemd."""
_QUOTED = r"""(?:"[^"\\%$`]*"|'[^'\\%$`]*')"""
_ASSIGNMENT = re.compile(rf"""\s*(?:"(\w+)=([^"\\%$`]*)"|'(\w+)=([^'\\%$`]*)'|(\w+)=({_QUOTED}|{_PLAIN}))(?=\s|$)""")
_USUAL_DIRECTORIES = frozenset(
    f"{base}{name}" for base in ("", "/usr", "/usr/local") for name in ("/bin", "/sbin", "/games")
)
_DIRECTORY = re.compile(r"/[\w/.-]+")
_UNSAFE = re.compile(r"/\.\.(/|\s|$)|\s;(\s|$)")
"""A path with "..", and the start of a second command in a line of a unit."""


def is_own_command(line: str) -> bool:
    """Say whether a command starts a program or script of the board's own, or one that does nothing to others."""
    if _HARMLESS_COMMAND.fullmatch(line) or (_COMPOSE.fullmatch(line) and _UNSAFE.search(line) is None):
        return True
    return _OWN_COMMAND.fullmatch(line) is not None and _UNSAFE.search(line) is None


def has_harmless_variables(words: str) -> bool:
    """Return whether no variable of NAME=VALUE words gives a program options or code."""
    at, words = 0, words.rstrip()
    while at < len(words):
        match = _ASSIGNMENT.match(words, at)
        if match is None or not _is_harmless_variable(*filter(None, match.groups())):
            return False
        at = match.end()
    return True


def _is_harmless_variable(name: str, value: str = "") -> bool:
    if _NAMES_OF_COMMANDS.fullmatch(name):
        return _USUAL_COMMANDS.fullmatch(value.strip("\"'")) is not None
    return _HARMLESS_NAMES.fullmatch(name) is not None


def is_search_path(value: str) -> bool:
    """Say whether a PATH is one that finds programs of packages first: directories of the board's own come behind."""
    parts = value.split(":")
    own = [part for part in parts if part not in _USUAL_DIRECTORIES and part not in ("$PATH", "${PATH}")]
    return parts[len(parts) - len(own) :] == own and all(map(_DIRECTORY.fullmatch, own))
