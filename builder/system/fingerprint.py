# SPDX-License-Identifier: MIT
"""Cache inputs from this machine: versions of Debian packages, and a digest of our code that affects a stage.

The code is found by imports. A stage names its first modules; everything that they import counts, except PASSIVE. Data,
scripts and C programs in the directories of these modules count too. So do files and directories beside a module that
it names in a string.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from builder.system.process import run

HERE = Path(__file__).parents[1]
CODE = (".py", ".pyc")
_TOLD = "what is logged and how a build ends"
_FETCHED = "where files come from: their digests are compared, and are inputs"
_HELD = "what is held while a build runs, and given back"
_INPUT = "its result is an input of the stages"
PASSIVE: Mapping[str, str] = {
    **dict.fromkeys(("errors", "log", "system.signals", "text"), _TOLD),
    **dict.fromkeys(("cache", "net", "system.proxy"), _FETCHED),
    **dict.fromkeys(
        tuple(
            f"system.{name}" for name in ("journal", "lock_holder", "locks", "resources", "trusted_state", "workspace")
        ),
        _HELD,
    ),
    **dict.fromkeys(("plan.ids", "plan.make", "plan.model", "plan.packages", "plan.stages", "recipe"), _INPUT),
    "system.atomic": "how a finished file gets its name",
    "system.fingerprint": "the digest itself",
}
"""Modules and folders without effect on the result of a stage, with the reason. Modules that only these import do not
count either."""
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+builder((?:\.\w+)*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+builder((?:\.\w+)+))",
    re.MULTILINE,
)
_LOADS = re.compile(rb"^\w+(?:: [^=\n]+)? = load_named\(__package__,", re.MULTILINE)
"""The call of a module that imports all modules below its folder (builder.system.extensions)."""
_NAME = re.compile(rb"\w+")
_TEXT = re.compile(rb"\"(\w+(?:\.\w+)*)\"")


@cache
def digest_code(*starts: str) -> str:
    """Return one digest of all files that `find_code` returns for the same names."""
    state = hashlib.sha256()
    for file in find_code(*starts):
        state.update(file.relative_to(HERE.parent).as_posix().encode() + b"\0" + file.read_bytes())
    return state.hexdigest()[:16]


def find_code(*starts: str) -> list[Path]:
    """Return the files that affect the result of some modules, sorted.

    starts  modules by their names below `builder` ("rootfs.make"), and directories by their path from there
            ("../specs"), of which all modules count
    """
    modules = _find_modules()
    todo = [file for start in starts for file in (_list_python(start) if "/" in start else [modules[start]])]
    files: set[Path] = set()
    while todo:
        file = todo.pop()
        if file not in files:
            files.add(file)
            source = file.read_bytes()
            todo += [modules[name] for name in _find_imports(source, modules) if not _is_passive(name)]
            todo += file.parent.rglob("*.py") if _LOADS.search(source) else ()
    directories = {file.parent for file in files}
    beside = {
        file for directory in directories for file in directory.iterdir() if file.is_file() and file.suffix not in CODE
    }
    return sorted(files | beside | {named for file in files for named in _find_named(file)})


def _find_named(file: Path) -> Iterator[Path]:
    """Yield the files that a module names in a string, such as a program that it starts or copies into an image."""
    for name in _TEXT.findall(file.read_bytes()):
        path = file.parent / name.decode()
        if path.is_dir() and path.name != "__pycache__":
            yield from (child for child in path.rglob("*") if child.is_file() and child.suffix not in CODE)
        elif path.is_file():
            yield path


@cache
def _find_modules() -> dict[str, Path]:
    """Return the file of each module by its name below `builder`; of a package, its __init__."""
    files = {file: file.relative_to(HERE).with_suffix("").parts for file in HERE.rglob("*.py")}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): file for file, parts in files.items()}


def _list_python(directory: str) -> list[Path]:
    return list((HERE / directory).resolve().glob("*.py"))


def _find_imports(source: bytes, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules that a source file imports, at any level."""
    for match in _IMPORT.finditer(source):
        base = (match[1] or match[3] or b"").decode()[1:]
        names = [name.decode() for name in _NAME.findall(match[2] or b"")]
        for name in (base, *(f"{base}.{name}".lstrip(".") for name in names)):
            if name and name in modules:
                yield name


def _is_passive(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:end]) in PASSIVE for end in range(1, len(parts) + 1))


def find_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Debian packages by "tool NAME"; "" for one that is not installed."""
    row = "${Package} ${Version}\\n"
    installed = run(["dpkg-query", "--show", f"--showformat={row}", *packages], ok=(0, 1)).stdout
    versions = dict(line.split(" ", 1) for line in installed.splitlines())
    return {f"tool {package}": versions.get(package, "") for package in packages}
