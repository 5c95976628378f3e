# SPDX-License-Identifier: MIT
"""What `make` installs into .venv: the product, for tests more, and never half of it that counts as whole."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "boardwright"
version = "0"
optional-dependencies = {test = []}
"""
BACKEND = """\
import pathlib
import zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    if pathlib.Path("broken").exists():
        raise SystemExit("the connection broke")
    name = "boardwright-0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(directory) / name, "w") as wheel:
        info = "boardwright-0.dist-info"
        about = "Metadata-Version: 2.1\\nName: boardwright\\nVersion: 0\\nProvides-Extra: test\\n"
        wheel.writestr(f"{info}/METADATA", about)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
HANDED_DOWN = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
UV = """\
#!/bin/sh
echo "$@" >> called
case $1 in venv) exec python3 -m venv --without-pip .venv ;; esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose product needs nothing, so that pip asks no server."""
    (tmp_path / "builder").mkdir()
    shutil.copy(ROOT / "builder/setup.sh", tmp_path / "builder")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "backend.py").write_text(BACKEND, encoding="utf-8")
    return tmp_path


def make(checkout: Path, target: str, *, path: str = "") -> subprocess.CompletedProcess[str]:
    # Not the PATH of this test: its .venv may lead it, and uv may be on this machine.
    # Nor what the `make test` that started this test hands down: a make below it would announce its directory.
    tools = path or _make_path(checkout)
    environment = {name: value for name, value in os.environ.items() if name not in HANDED_DOWN}
    return subprocess.run(
        ["make", target],
        cwd=checkout,
        env={**environment, "PATH": tools},
        capture_output=True,
        text=True,
        check=False,
    )


def _make_path(checkout: Path, **programs: str) -> str:
    """Return a PATH with what setup.sh calls, and no more."""
    tools = checkout / "bin"
    tools.mkdir(exist_ok=True)
    for name in ("sh", "make", "rm", "touch", "id"):
        if not (tools / name).exists():
            (tools / name).symlink_to(shutil.which(name) or name)
    if not (tools / "python3").exists():
        (tools / "python3").symlink_to(Path(sys.executable).resolve())
    for name, text in programs.items():
        (tools / name).unlink(missing_ok=True)  # It may be a link to the real one.
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    return str(tools)


def find_marks(checkout: Path) -> set[str]:
    return {path.name for path in (checkout / ".venv").glob("ready*")}


def test_only_a_whole_installation_is_ready(checkout: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    (checkout / "broken").touch()
    done = make(checkout, ".venv/ready")
    assert done.returncode
    assert done.stderr.startswith("Boardwright: installing it into .venv")
    assert "is not complete; call make again" in done.stderr
    assert not find_marks(checkout)
    assert (checkout / ".venv/bin/pip").exists(), "what broke off before pip was there is made again"

    (checkout / "broken").unlink()
    done = make(checkout, ".venv/ready")
    assert (done.returncode, done.stdout, find_marks(checkout)) == (0, "", {"ready"}), done.stderr
    assert "Successfully installed boardwright-0" in done.stderr

    done = make(checkout, ".venv/ready-test")
    assert (done.returncode, done.stdout, find_marks(checkout)) == (0, "", {"ready", "ready-test"}), done.stderr
    assert not make(checkout, ".venv/ready-test").stderr

    (checkout / "broken").touch()
    (checkout / "builder/setup.sh").touch()
    assert make(checkout, ".venv/ready-test").returncode
    assert not find_marks(checkout)


def test_uv_is_used_where_it_is(checkout: Path) -> None:
    path = _make_path(checkout, uv=UV)
    assert make(checkout, ".venv/ready-test", path=path).returncode == 0
    assert (checkout / "called").read_text(encoding="utf-8").splitlines() == [
        "venv --quiet --python >=3.11 .venv",
        "pip install --python .venv/bin/python --editable .",
        "pip install --python .venv/bin/python --editable .[test]",
    ]


def test_a_python_that_is_too_old_is_named(checkout: Path) -> None:
    old = "#!/bin/sh\ncase $1 in --version) echo Python 3.9.2 ;; esac\ncase $2 in *version_info*) exit 1 ;; esac\n"
    done = make(checkout, ".venv/ready", path=_make_path(checkout, python3=old))
    assert done.returncode
    assert "Python 3.9.2 is too old; expected 3.11 or newer" in done.stderr


def test_a_python_without_venv_says_what_to_install(checkout: Path) -> None:
    bare = "#!/bin/sh\nexit 1\n"
    path = _make_path(checkout, python3=bare)
    assert "install Python 3.11 or newer with it" in make(checkout, ".venv/ready", path=path).stderr
    path = _make_path(checkout, **{"id": "#!/bin/sh\necho 1000\n", "apt-get": bare})
    assert "sudo apt-get install python3-venv" in make(checkout, ".venv/ready", path=path).stderr
    installer = '#!/bin/sh\necho "$@" >> called\n'
    path = _make_path(checkout, **{"id": "#!/bin/sh\necho 0\n", "apt-get": installer})
    assert "installing with apt-get: python3-venv" in make(checkout, ".venv/ready", path=path).stderr
    assert (checkout / "called").read_text(encoding="utf-8").splitlines()[-1].endswith(" python3-venv")


def find_imports(directory: Path) -> Iterator[str]:
    """Yield the first name of every module that the files of a directory import at run time."""
    for path in directory.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if id(node) in for_types:
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


def find_installed_with(project: str, *, seen: set[str]) -> set[str]:
    """Return the canonical names of a project and all that pip installs with it, without extras."""
    name = canonicalize_name(project)
    if name not in seen:
        seen.add(name)
        try:
            needs = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:  # For another system.
            needs = []
        for need in needs:
            if not need.marker or need.marker.evaluate({"extra": ""}):
                find_installed_with(need.name, seen=seen)
    return seen


def test_what_the_product_imports_is_installed_with_it() -> None:
    ours = {"builder", "specs", "tests", "cloudinit"}  # The last is the image's, where rootfs/cloud_distro.py runs.
    imported = {name for part in ("builder", "specs") for name in find_imports(ROOT / part)}
    distributions = packages_distributions()
    installed = find_installed_with("boardwright", seen=set())
    lacking = {
        name
        for name in imported - ours - sys.stdlib_module_names
        if not installed & {canonicalize_name(each) for each in distributions.get(name, ())}
    }
    assert not lacking
    assert "pytest" in installed
    assert "mypy" not in installed


def test_every_target_that_tests_has_the_tests_tools() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    needs = dict(re.findall(r"^([a-z-]+): (\.venv/\S+)", makefile, re.MULTILINE))
    assert {name for name, need in needs.items() if need == ".venv/ready-test"} >= {"test", "check", "bench"}
    assert needs["build"] == needs["doctor"] == ".venv/ready"
