# SPDX-License-Identifier: MIT
"""Two sets of libraries: this machine has those of pyproject.toml from PyPI, the builder image has Debian's.

Code that runs in a container imports only what Dockerfile.builder installs, in versions that pyproject.toml allows too.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.architecture import Architecture
from builder.cli import HIDDEN, VERBS
from builder.engine.docker.connect import open_engine
from builder.engine.local import TOOLS
from builder.system.tools import DEBIAN_PACKAGES
from builder.verify.live.qemu.needs import CARD, SPECS
from tests.conftest import ROOT


class Library(NamedTuple):
    """A library of Debian trixie."""

    project: str
    """Its name at PyPI."""
    version: str
    """Version of the Debian package."""
    modules: tuple[str, ...]
    """Modules that it brings, those of its dependencies included."""


# http://deb.debian.org/debian/dists/trixie/main/binary-amd64/Packages.xz of Debian 13.8, read on 2026-11-28.
TRIXIE: Mapping[str, Library] = {
    "python3-boto3": Library("boto3", "1.37.9-1", ("boto3", "botocore", "s3transfer")),
    "python3-docker": Library("docker", "7.1.0-2", ("docker",)),
    "python3-jsonschema": Library("jsonschema", "4.19.2-6", ("jsonschema", "referencing")),
    "python3-pydantic": Library("pydantic", "2.10.6-2", ("pydantic", "pydantic_core")),
    "python3-pytest": Library("pytest", "8.3.5-2", ("pytest",)),
    "python3-requests": Library("requests", "2.32.3+dfsg-5+deb13u1", ("requests", "urllib3")),
    "python3-rich": Library("rich", "13.9.4-1", ("rich",)),
    "python3-ruamel.yaml": Library("ruamel.yaml", "0.18.10+ds-1", ("ruamel",)),
    "python3-tenacity": Library("tenacity", "8.4.2+really8.4.1-2", ("tenacity",)),
    "python3-testinfra": Library("pytest-testinfra", "10.2.2-1", ("testinfra",)),
    "python3-tqdm": Library("tqdm", "4.67.1-5", ("tqdm",)),
    "python3-typer": Library("typer", "0.15.2-1", ("typer",)),
}
PYTHON = "3.13.5-1"
"""Version of trixie's package python3."""
IN_CONTAINER = ("run", "cache", "doctor", "shell", "verify", "boot")
"""Verbs that this program calls in a container."""
HERE_ONLY = {
    "builder.engine.docker.pack": {"zstandard"},
    "builder.engine.docker.boot": {"cryptography"},
}
"""Modules with an import for this machine alone: it reads packs, and makes the key of a login."""
QEMU_OF_TRIXIE = {"qemu-system-misc": "qemu-system-riscv"}
"""Packages that trixie has split: the name in bookworm, and the one of the builder image."""
NOT_FOLLOWED = {"builder.verbs.verify": ("builder.packaging.check", "builder.fetch.download")}
"""`verify --release` runs on this machine."""


class Import(NamedTuple):
    """An import of a module. A late one is in a function, and runs when that is called."""

    name: str
    is_late: bool


@cache
def find_modules() -> dict[str, Path]:
    files = [*(ROOT / "builder").rglob("*.py"), *(ROOT / "specs").glob("*.py")]
    parts = {path: path.relative_to(ROOT).with_suffix("").parts for path in files}
    return {".".join(names[:-1] if names[-1] == "__init__" else names): path for path, names in parts.items()}


def read_imports(tree: ast.AST, *, is_late: bool = False) -> Iterator[Import]:
    """Yield the imports of a module, without those for type checkers; of `from a import b` both a and a.b."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, is_late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (
                Import(name, is_late) for name in (node.module, *(f"{node.module}.{a.name}" for a in node.names))
            )
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from read_imports(node, is_late=is_late or is_function)


@cache
def list_imports(module: str) -> tuple[Import, ...]:
    return tuple(read_imports(ast.parse(find_modules()[module].read_text(encoding="utf-8"))))


def find_foreign(starts: Collection[str], *, late: bool) -> dict[str, set[str]]:
    """Return the libraries that modules of ours import, by the importing module, with all that they import.

    late  also follow imports in functions
    """
    modules, todo = find_modules(), list(starts)
    seen: set[str] = set()
    foreign: dict[str, set[str]] = {}
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        for name, is_late in list_imports(module):
            if (is_late and not late) or name.startswith(NOT_FOLLOWED.get(module, ())):
                continue
            top = name.partition(".")[0]
            if top in ("builder", "specs"):
                parts = name.split(".")
                names = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
                todo += [each for each in names if each in modules]
            elif top not in sys.stdlib_module_names:
                foreign.setdefault(module, set()).add(top)
    return foreign


def find_lacking(foreign: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the libraries that the builder image does not have."""
    provided = {name for library in TRIXIE.values() for name in library.modules}
    return {module: rest for module, names in foreign.items() if (rest := names - provided)}


def verb_module(verb: str) -> str:
    return {**VERBS, **HIDDEN}[verb].location.partition(":")[0]


def test_what_makes_a_build_imports_only_what_the_builder_image_has() -> None:
    foreign = find_foreign(["builder.pipeline"], late=True)
    assert {"pydantic", "requests", "boto3"} <= set().union(*foreign.values())
    assert find_lacking(foreign) == {}


@pytest.mark.parametrize("verb", IN_CONTAINER)
def test_a_verb_in_a_container_starts_with_what_the_builder_image_has(verb: str) -> None:
    foreign = find_foreign(["builder.__main__", "builder.cli", verb_module(verb)], late=False)
    assert "typer" in set().union(*foreign.values())
    assert find_lacking(foreign) == {}


def test_what_a_verb_imports_later_is_there_but_for_what_runs_here_alone() -> None:
    foreign = find_foreign([verb_module(verb) for verb in IN_CONTAINER], late=True)
    assert find_lacking(foreign) == HERE_ONLY


def test_the_specs_import_only_what_the_builder_image_has() -> None:
    specs = [name for name in find_modules() if name.startswith("specs.")]
    foreign = find_foreign([*specs, "builder.verify.plugin"], late=True)
    assert {"pytest", "testinfra"} <= set().union(*foreign.values())
    assert find_lacking(foreign) == {}


def test_imports_are_found_where_they_are() -> None:
    source = """
import a.b
from c import d
if TYPE_CHECKING:
    import e
if x:
    import f
class G:
    import g
    def h(self):
        import i
async def j():
    from k import l
"""
    found = list(read_imports(ast.parse(source)))
    assert [name for name, is_late in found if not is_late] == ["a.b", "c", "c.d", "f", "g"]
    assert [name for name, is_late in found if is_late] == ["i", "k", "k.l"]


def test_a_library_that_is_not_there_is_seen() -> None:
    assert find_lacking(find_foreign(["builder.signing.signature"], late=False)) == {
        "builder.signing.signature": {"cryptography"}
    }


def read_installed() -> list[set[str]]:
    """Return the Debian packages that Dockerfile.builder installs and keeps: for all stages, and more for `boot`."""
    text = (ROOT / "Dockerfile.builder").read_text(encoding="utf-8").replace("\\\n", " ")
    lists = re.findall(r"--no-install-recommends ([\w.+\- ]+)", text)
    return [set(names.split()) for names in lists if "gcc" not in names.split()]


def test_the_programs_of_a_build_are_installed() -> None:
    """What the table of compressions or of filesystems names, too."""
    assert {DEBIAN_PACKAGES[tool] for tool in TOOLS} <= read_installed()[0]


def test_the_machines_and_the_tools_of_boot_are_installed() -> None:
    installed = set().union(*read_installed())
    machines = {name for item in Architecture for name in (item.row.package, item.row.uefi_package) if name}
    assert {name for name in machines if name not in QEMU_OF_TRIXIE} <= installed
    assert {QEMU_OF_TRIXIE[name] for name in machines & QEMU_OF_TRIXIE.keys()} <= installed
    assert {DEBIAN_PACKAGES[tool] for tool in ("ssh", "ssh-keygen", *CARD, *SPECS)} <= installed


def find_upstream(version: str) -> str:
    """Return the upstream version in a version of Debian: without epoch, revision and additions of Debian."""
    upstream = version.rpartition("-")[0].rpartition(":")[2]
    return upstream.partition("+really")[2] or upstream.partition("+")[0]


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("1.37.9-1", "1.37.9"),
        ("2.32.3+dfsg-5+deb13u1", "2.32.3"),
        ("8.4.2+really8.4.1-2", "8.4.1"),
        ("1:4.67.1-5", "4.67.1"),
    ],
)
def test_the_upstream_version_is_read(version: str, upstream: str) -> None:
    assert find_upstream(version) == upstream


def test_the_table_has_what_the_builder_image_installs() -> None:
    assert {name for name in read_installed()[0] if name.startswith("python3-")} == TRIXIE.keys()


@pytest.mark.parametrize("name", TRIXIE)
def test_a_container_has_a_version_that_is_allowed(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ranges = {each.name: each.specifier for each in map(Requirement, project["dependencies"])}
    assert ranges[TRIXIE[name].project].contains(find_upstream(TRIXIE[name].version))


def test_a_container_has_a_python_that_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert SpecifierSet(project["requires-python"]).contains(Version(find_upstream(PYTHON)))


def run_in_image(image: str, *argv: str) -> str:
    """Run a program in a new container of an image and return its output."""
    with open_engine() as api:
        container = api.create_container(image, list(argv))["Id"]
        try:
            api.start(container)
            code = api.wait(container)["StatusCode"]
            output = api.logs(container, stderr=code != 0).decode()
        finally:
            api.remove_container(container, force=True)
    assert code == 0, output
    return str(output)


@pytest.mark.engine
def test_the_builder_image_has_the_versions_of_the_table(builder_image: str) -> None:
    row = "--showformat=${Package} ${Version}\\n"
    output = run_in_image(builder_image, "dpkg-query", "--show", row, "python3", *TRIXIE)
    found = {name: find_upstream(version) for name, version in map(str.split, output.splitlines())}
    table = {name: find_upstream(library.version) for name, library in TRIXIE.items()}
    assert found == {**table, "python3": find_upstream(PYTHON)}


@pytest.mark.engine
def test_the_builder_image_imports_every_verb_of_a_container(builder_image: str) -> None:
    modules = [verb_module(verb) for verb in IN_CONTAINER]
    program = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print('all')"
    assert run_in_image(builder_image, "python3", "-c", program, "builder.pipeline", *modules).strip() == "all"
