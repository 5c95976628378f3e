# SPDX-License-Identifier: MIT
"""Find the files that a recipe names, and overlay trees, and check that they are inside the board's directory.

The check takes the resolved path, so neither `..` nor a symlink leads out; a comparison of text is not enough. The one
exception is a keyring of the system, named by its absolute path below /usr/share/keyrings. The build looks for it
where it runs, which may be another machine.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from builder.recipe.nodes import List, Map, MapEntry, Node, Position, Problem, Scalar, Steps, render_path, shorten
from builder.recipe.written_paths import find_owner
from builder.text import find_hidden

USED = ("board.yaml", "customise.sh", "files", "debs", "README.md")
"""Names in a board's directory that are used, besides files that its recipe names."""
SYSTEM_KEYRINGS = Path("/usr/share/keyrings")
LONGEST_PATH = 1024
"""Most characters of a path below files/; Linux takes 4096 for the whole path."""
_KEY_FILES = (("archives", "*", "key", "file"), ("docker", "key", "file"))
_FILES = (*_KEY_FILES, ("kernel", "debs", "*", "file"), ("blobs", "*", "file"))


def resolve_files(node: Map, problems: list[Problem]) -> Map:
    """Return the tree with an absolute path for each named file; add other files to `problems`."""
    entries = {key: MapEntry(entry.at, _resolve(entry.node, (key,), problems)) for key, entry in node.entries.items()}
    return Map(node.at, entries, node.removed)


def _resolve(node: Node, path: Steps, problems: list[Problem]) -> Node:
    if isinstance(node, Map):
        below = ((key, entry, (*path, key)) for key, entry in node.entries.items())
        entries = {key: MapEntry(entry.at, _resolve(entry.node, deeper, problems)) for key, entry, deeper in below}
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
    fault = find_file_problem(text, node.at.file.parent)
    if fault:
        problems.append(Problem(node.at, f"{render_path(path)}: found {text!r}, {fault}"))
        return node
    return Scalar(node.at, str((node.at.file.parent / text).resolve()), node.text)


def is_system_keyring(text: str) -> bool:
    """Return whether a path is below /usr/share/keyrings."""
    normal = Path(os.path.normpath(text))
    return normal.is_relative_to(SYSTEM_KEYRINGS) and normal != SYSTEM_KEYRINGS


def find_file_problem(text: str, directory: Path) -> str:
    """Return the fault of a file name relative to `directory`, or ""."""
    if Path(text).is_absolute():
        return f"an absolute path; expected a path below {directory}"
    try:
        path = (directory / text).resolve()
        if not path.is_relative_to(directory.resolve()):
            return f"which is outside {directory}; expected a path below it"
        if path.is_file():
            return ""
    except (OSError, RuntimeError, ValueError):  # a loop of symlinks; a zero byte
        return "which cannot be followed; expected a file or a symlink to one"
    if path.exists():
        return "which is not a regular file; expected a file"
    return f"which does not exist below {directory}"


def find_script_problems(directory: Path) -> Iterator[Problem]:
    """Yield the fault of a board's customise.sh, if there is one."""
    script = directory / "customise.sh"
    fault = find_file_problem(script.name, directory) if script.exists() or script.is_symlink() else ""
    if fault:
        yield Problem(Position(script, 1, 1), f"found {script.name!r}, {fault}")


def find_link_problems(directory: Path) -> Iterator[Problem]:
    """Yield a problem if a board's directory is a symlink: in a container its target does not exist."""
    if directory.is_symlink():
        found = f"found a symlink to {directory.readlink()}; expected a directory"
        yield Problem(Position(directory, 1, 1), f"{found}. Use --boards to name the directory that it is in")


def find_unused(directories: Sequence[Path], recipe: BaseModel) -> Iterator[str]:
    """Yield a warning for each unused file beside board.yaml whose name is similar to a used one."""
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
        for item in value.values():
            yield from _find_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _find_texts(item)


def find_overlay(directory: Path, problems: list[Problem]) -> Path | None:
    """Return the checked overlay tree of a board's directory, or None."""
    overlay = directory / "files"
    if overlay.is_symlink() or not overlay.is_dir():
        if overlay.is_symlink() or overlay.exists():
            problems.append(Problem(Position(overlay, 1, 1), "found a file or a symlink; expected a directory"))
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
                yield Problem(where, f"{found}; expected a relative one that stays inside")
        elif not (path.is_file() or path.is_dir()):
            yield Problem(where, "found a special file; expected a file, directory or symlink")
        target = path.relative_to(overlay).as_posix()
        if (path.is_symlink() or not path.is_dir()) and path.name != ".gitkeep" and (instead := find_owner(target)):
            yield Problem(where, f"found /{target}, which the build itself writes; use {instead}")


def _describe_hidden(char: str) -> str:
    if 0xDC80 <= ord(char) <= 0xDCFF:  # Python's code for a byte that is not UTF-8.
        return f"the byte 0x{ord(char) & 0xFF:02x} in its name, which is not UTF-8"
    return f"the character U+{ord(char):04X} in its name"


def _list_overlay(overlay: Path) -> tuple[list[Path], list[Problem]]:
    """Return the sorted paths of an overlay, and a problem for each that cannot be listed."""
    paths: list[Path] = []
    problems: list[Problem] = []

    def refuse(error: OSError) -> None:
        problems.append(Problem(Position(Path(error.filename), 1, 1), f"cannot be read: {error.strerror}"))

    for directory, below, files in os.walk(overlay, onerror=refuse):
        parent = Path(directory)
        paths += [parent / name for name in (*below, *files)]
        if len(directory) - len(str(overlay)) > LONGEST_PATH:
            below.clear()  # Linux refuses longer paths, and a message could not show them.
            found = f"found a path that ends with {shorten(parent.parts[-1])}"
            problems.append(Problem(Position(overlay, 1, 1), f"{found}; expected at most {LONGEST_PATH} characters"))
    return sorted(path for path in paths if len(str(path)) - len(str(overlay)) <= LONGEST_PATH), problems


def _leads_out(link: Path, root: Path) -> bool:
    """Return whether a symlink leads out of its overlay, as text or when followed.

    An absolute symlink does: during the build it would point into the build machine.
    """
    target = link.readlink()
    try:
        followed = link.resolve()
    except (OSError, RuntimeError):  # a loop
        return True
    written = Path(os.path.normpath(link.parent.resolve() / target))
    return target.is_absolute() or not (written.is_relative_to(root) and followed.is_relative_to(root))
