# SPDX-License-Identifier: MIT
"""Files that a recipe names, and overlay trees: found, and inside the directory of the board that names them.

"Inside" is asked of the resolved path, so that neither `..` nor a symlink leads out; a comparison of text would not
do. The one exception is a keyring of the system's own, named by its absolute path below /usr/share/keyrings: that is
looked for where the build runs, which may be another machine.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from builder.recipe.nodes import Entry, List, Map, Node, Position, Problem, Scalar, Steps, render_path, shorten
from builder.recipe.written_paths import find_owner
from builder.text import find_hidden

USED = ("board.yaml", "customise.sh", "files", "debs", "README.md")
"""What a board's directory may hold, besides files that its recipe names."""
SYSTEM_KEYRINGS = Path("/usr/share/keyrings")
LONGEST_PATH = 1024
"""Characters of a path below files/: Linux takes 4096 with all that stands before it."""
_KEY_FILES = (("archives", "*", "key", "file"), ("docker", "key", "file"))
_FILES = (*_KEY_FILES, ("kernel", "debs", "*", "file"), ("blobs", "*", "file"))


def resolve_files(node: Map, problems: list[Problem]) -> Map:
    """Return the tree with every named file as an absolute path; what cannot be one goes to `problems`."""
    entries = {key: Entry(entry.at, _resolve(entry.node, (key,), problems)) for key, entry in node.entries.items()}
    return Map(node.at, entries, node.removed)


def _resolve(node: Node, path: Steps, problems: list[Problem]) -> Node:
    if isinstance(node, Map):
        below = ((key, entry, (*path, key)) for key, entry in node.entries.items())
        entries = {key: Entry(entry.at, _resolve(entry.node, deeper, problems)) for key, entry, deeper in below}
        return Map(node.at, entries, node.removed)
    if isinstance(node, List):
        items = (_resolve(item, (*path, index), problems) for index, item in enumerate(node.items))
        return List(node.at, tuple(items))
    if isinstance(node.value, str) and node.value and any(_fits(path, pattern) for pattern in _FILES):
        return _resolve_scalar(node, node.value, path, problems)
    return node


def _fits(path: Steps, pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(want in ("*", step) for step, want in zip(path, pattern, strict=True))


def _resolve_scalar(node: Scalar, text: str, path: Steps, problems: list[Problem]) -> Scalar:
    if any(_fits(path, pattern) for pattern in _KEY_FILES) and is_system_keyring(text):
        return Scalar(node.at, os.path.normpath(text), node.text)
    wrong = find_file_problem(text, node.at.file.parent)
    if wrong:
        problems.append(Problem(node.at, f"{render_path(path)}: found {text!r}, {wrong}"))
        return node
    return Scalar(node.at, str((node.at.file.parent / text).resolve()), node.text)


def is_system_keyring(text: str) -> bool:
    """Is this a path below /usr/share/keyrings?"""
    normal = Path(os.path.normpath(text))
    return normal.is_relative_to(SYSTEM_KEYRINGS) and normal != SYSTEM_KEYRINGS


def find_file_problem(text: str, directory: Path) -> str:
    """Return what is wrong with a file named relative to `directory`, or nothing."""
    if Path(text).is_absolute():
        return f"an absolute path; allowed: a path below {directory}"
    try:
        path = (directory / text).resolve()
        if not path.is_relative_to(directory.resolve()):
            return f"which is outside {directory}; allowed: a path below it"
        if path.is_file():
            return ""
    except (OSError, RuntimeError, ValueError):  # a loop of symlinks; a zero byte
        return "which cannot be followed; allowed: a file or a symlink to one"
    return "which is not a file" if path.exists() else f"which does not exist below {directory}"


def find_script_problems(directory: Path) -> Iterator[Problem]:
    """Yield what is wrong with a board's customise.sh, if it has one."""
    script = directory / "customise.sh"
    wrong = find_file_problem(script.name, directory) if script.exists() or script.is_symlink() else ""
    if wrong:
        yield Problem(Position(script, 1, 1), f"found {script.name!r}, {wrong}")


def find_link_problems(directory: Path) -> Iterator[Problem]:
    """Yield what is wrong with a board's directory that is a link: a container gets it as a link to nowhere."""
    if directory.is_symlink():
        found = f"found a link to {directory.readlink()}; allowed: a directory"
        yield Problem(Position(directory, 1, 1), f"{found}. Name the directory of the boards it is in with --boards")


def find_unused(directories: Sequence[Path], recipe: BaseModel) -> Iterator[str]:
    """Yield a sentence for each file beside board.yaml whose name is nearly one that would be used."""
    named = set(_find_texts(recipe.model_dump()))
    for directory in directories:
        for path in sorted(directory.iterdir()):
            near = difflib.get_close_matches(path.name, USED, n=1, cutoff=0.75)
            if near and path.name not in USED and not any(Path(text).is_relative_to(path) for text in named):
                yield f"{directory.name}/{path.name} is not used; did you mean {near[0]}?"


def _find_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _find_texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _find_texts(each)


def find_overlay(directory: Path, problems: list[Problem]) -> Path | None:
    """Return the overlay tree of a board's directory, checked, or None when it has none."""
    overlay = directory / "files"
    if overlay.is_symlink() or not overlay.is_dir():
        if overlay.is_symlink() or overlay.exists():
            problems.append(Problem(Position(overlay, 1, 1), "found no directory; allowed: a directory of its own"))
        return None
    problems.extend(_check_overlay(overlay))
    return overlay


def _check_overlay(overlay: Path) -> Iterator[Problem]:
    paths, problems = _list_overlay(overlay)
    yield from problems
    for path in paths:
        where = Position(path, 1, 1)
        if hidden := find_hidden(path.name, allowed=""):
            yield Problem(where, f"found {_describe_hidden(hidden)}; rename it")
        if path.is_symlink():
            if _leads_out(path, overlay.resolve()):
                found = f"found a symlink to {path.readlink()}, outside {overlay}"
                yield Problem(where, f"{found}; allowed: a relative one that stays inside")
        elif not (path.is_file() or path.is_dir()):
            yield Problem(where, "found a special file; allowed: files, directories and symlinks")
        place = path.relative_to(overlay).as_posix()
        if (path.is_symlink() or not path.is_dir()) and path.name != ".gitkeep" and (instead := find_owner(place)):
            yield Problem(where, f"found /{place}, which the build writes itself; use {instead}")


def _describe_hidden(char: str) -> str:
    if 0xDC80 <= ord(char) <= 0xDCFF:  # How Python writes a byte that is not UTF-8.
        return f"the byte 0x{ord(char) & 0xFF:02x} in its name, which is not UTF-8"
    return f"the character U+{ord(char):04X} in its name"


def _list_overlay(overlay: Path) -> tuple[list[Path], list[Problem]]:
    """Return all that an overlay holds in order, and what of it cannot be listed."""
    paths: list[Path] = []
    problems: list[Problem] = []

    def refuse(error: OSError) -> None:
        problems.append(Problem(Position(Path(error.filename), 1, 1), f"cannot be read: {error.strerror}"))

    for directory, below, files in os.walk(overlay, onerror=refuse):
        here = Path(directory)
        paths += [here / name for name in (*below, *files)]
        if len(directory) - len(str(overlay)) > LONGEST_PATH:
            below.clear()  # The system refuses longer ones, and no message could show them.
            found = f"found a path of more than {LONGEST_PATH} characters, {shorten(here.parts[-1])} the last of it"
            problems.append(Problem(Position(overlay, 1, 1), f"{found}; allowed: {LONGEST_PATH}"))
    return sorted(path for path in paths if len(str(path)) - len(str(overlay)) <= LONGEST_PATH), problems


def _leads_out(link: Path, root: Path) -> bool:
    """Does a symlink of an overlay lead out of it, as text or when followed?

    An absolute one does: laid over a tree, it would point into the machine that builds.
    """
    target = link.readlink()
    try:
        followed = link.resolve()
    except (OSError, RuntimeError):  # a loop
        return True
    written = Path(os.path.normpath(link.parent.resolve() / target))
    return target.is_absolute() or not (written.is_relative_to(root) and followed.is_relative_to(root))
