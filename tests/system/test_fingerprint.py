# SPDX-License-Identifier: MIT
"""Which part of our own code decides what a stage makes: found by its imports, so that none is forgotten."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.artefact.reuse import CODE as ARTEFACT
from builder.rootfs.inputs import CODE as ROOTFS
from builder.rootfs.twins import CODE as TWINS
from builder.system import fingerprint
from builder.system.fingerprint import PASSIVE, digest_code, find_code
from tests.conftest import ROOT
from tests.test_floors import find_imports

BUILDER = ROOT / "builder"
STARTS = [(ROOTFS,), (TWINS,), ARTEFACT]


def name_of(file: Path) -> str:
    parts = file.relative_to(BUILDER).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def list_names(files: list[Path]) -> set[str]:
    return {name_of(file) for file in files if file.is_relative_to(BUILDER) and file.suffix == ".py"}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of our code, which is looked at instead."""
    shutil.copytree(BUILDER, tmp_path / "builder", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "specs", tmp_path / "specs", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "HERE", tmp_path / "builder")
    fingerprint._find_modules.cache_clear()
    yield tmp_path / "builder"
    fingerprint._find_modules.cache_clear()


def digest(*starts: str) -> str:
    digest_code.cache_clear()
    fingerprint._find_modules.cache_clear()
    return digest_code(*starts)


@pytest.mark.parametrize("file", sorted(BUILDER.rglob("*.py")), ids=name_of)
def test_the_imports_are_those_of_pythons_own_parser(file: Path) -> None:
    modules = fingerprint._find_modules()
    package = ("builder", *file.relative_to(BUILDER).parent.parts)
    names = {name for _, name in find_imports(ast.parse(file.read_bytes()), package)}
    wanted = {name if name in modules else name.rpartition(".")[0] for name in names} & modules.keys()
    parents = {name.rpartition(".")[0] for name in wanted}
    assert wanted - {""} <= set(fingerprint._find_imports(file.read_bytes(), modules)) <= wanted | parents


@pytest.mark.parametrize("starts", STARTS, ids=["rootfs", "twins", "artefact"])
def test_what_is_loaded_belongs_to_it(starts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Python itself says what a stage runs."""
    modules = [f"builder.{start}" for start in starts if "/" not in start]
    loads = f"import sys, {', '.join(modules)}; print(*(name for name in sys.modules if name.startswith('builder.')))"
    done = subprocess.run([sys.executable, "-c", loads], cwd=ROOT, capture_output=True, text=True, check=True)
    monkeypatch.setattr(fingerprint, "PASSIVE", {})
    loaded = {name.removeprefix("builder.") for name in done.stdout.split()}
    packages = {name for name, file in fingerprint._find_modules().items() if file.name == "__init__.py"}
    assert loaded - packages <= list_names(find_code(*starts))


def test_what_is_passive_is_there_and_has_a_reason() -> None:
    assert set(PASSIVE) <= set(fingerprint._find_modules()) | {path.name for path in BUILDER.iterdir() if path.is_dir()}
    assert all(PASSIVE.values())
    assert not {start for starts in STARTS for start in starts} & PASSIVE.keys()


@pytest.mark.parametrize(
    ("starts", "file"),
    [
        ((ROOTFS,), "rootfs/namespaces.py"),
        ((ROOTFS,), "rootfs/redirect.c"),
        ((ROOTFS,), "rootfs/locale-gen.sh"),
        ((ROOTFS,), "plan/first_boot.py"),
        ((ROOTFS,), "system/process.py"),
        ((ROOTFS,), "rootfs/cloud_distro.py"),
        (ARTEFACT, "verify/live/try_console.py"),
        ((TWINS,), "rootfs/apt/pairs.py"),
        (ARTEFACT, "image/table.py"),
        (ARTEFACT, "verify/plugin.py"),
        (ARTEFACT, "artefact/compress.py"),
        (ARTEFACT, "../specs/data/trace.yaml"),
        (ARTEFACT, "../specs/pytest.ini"),
        (ARTEFACT, "../specs/access_spec.py"),
    ],
)
def test_a_change_of_it_is_another_digest(copied: Path, starts: tuple[str, ...], file: str) -> None:
    before = digest(*starts)
    with (copied / file).open("a", encoding="utf-8") as stream:
        stream.write("\n# changed\n")
    assert digest(*starts) != before


@pytest.mark.parametrize(
    "file",
    [
        "log.py",
        "net/http.py",
        "recipe/check.py",
        "plan/make.py",
        "verbs/build.py",
        "filesystems/fat32/make.py",
        "system/locks.py",
    ],
)
def test_a_change_of_something_else_is_none(copied: Path, file: str) -> None:
    before = digest(ROOTFS)
    with (copied / file).open("a", encoding="utf-8") as stream:
        stream.write("\n# changed\n")
    assert digest(ROOTFS) == before


@pytest.mark.parametrize(
    "how",
    ["from builder import new\n", "def late() -> None:\n    from builder.new import (\n        it,  # later\n    )\n"],
    ids=["as a name", "late"],
)
def test_a_module_that_is_new_belongs_to_it_once_it_is_imported(copied: Path, how: str) -> None:
    (copied / "new.py").write_text("it = 1\n")
    before = digest(ROOTFS)
    with (copied / "rootfs/clean.py").open("a", encoding="utf-8") as stream:
        stream.write(f"\n\n{how}")
    imported = digest(ROOTFS)
    (copied / "new.py").write_text("it = 2\n")
    assert len({before, imported, digest(ROOTFS)}) == 3
