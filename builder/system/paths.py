# SPDX-License-Identifier: MIT
"""Paths inside an untrusted tree.

A rootfs is full of absolute symbolic links. Following one from outside would read or write this machine's files. So
every path below a rootfs goes through `resolve_inside`, which follows links as the booted system would.
"""

from __future__ import annotations

import re
import shutil
import string
from pathlib import Path, PurePosixPath

from builder.errors import RecipeError
from builder.system.process import run

MAX_LINKS = 40
_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
_MERGED = re.compile(r"^/(bin|sbin|lib\w*)/")


def resolve_inside(root: Path, path: str | PurePosixPath) -> Path:
    """Return the file below `root` that `path` has in a system with that root, with links followed.

    The result may not exist, but never lies outside `root`. Raises RecipeError for a loop of links.
    """
    todo = list(reversed([part for part in PurePosixPath(path).parts if part != "/"]))
    here = root
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            here = here if here == root else here.parent
            continue
        step = here / part
        if not step.is_symlink():
            here = step
            continue
        links += 1
        if links > MAX_LINKS:
            raise RecipeError(f"{path}: too many symbolic links", hint=f"look for a loop of links below {root}")
        target = PurePosixPath(step.readlink())
        if target.is_absolute():
            here = root
        todo.extend(reversed([part for part in target.parts if part != "/"]))
    return here


def fold_name(name: str) -> str:
    """Return a FAT file name in the form for comparison. Letters outside of ASCII are unchanged: systems differ in
    their case rules."""
    return name.translate(_LOWER)


def merge_into_usr(path: str) -> str:
    """Return the path that a package's file has in a system whose /bin, /sbin and /lib are links into /usr."""
    return _MERGED.sub(r"/usr/\1/", path)


def write_text(root: Path, path: str, text: str, *, mode: int = 0o644) -> Path:
    """Write a file below `root`, create its directories, and return its path."""
    target = resolve_inside(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    target.chmod(mode)
    return target


def remove_tree(path: Path) -> None:
    """Remove a directory tree. Raises OSError, or ToolError if a very deep tree cannot be removed."""
    try:
        shutil.rmtree(path)
    except RecursionError:  # Before Python 3.13, rmtree recurses once per level.
        run(["rm", "--recursive", "--force", "--", path])
