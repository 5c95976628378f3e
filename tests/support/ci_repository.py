# SPDX-License-Identifier: MIT
"""Repositories that CI builds: a fork of this one, and one of boards that has this one in a directory."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest

from builder import cli
from tests.conftest import ROOT
from tests.test_cli import OPTION_VARIABLES, Done

IDENTITY = ("-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")

BOARDS = ("_base", "qemu-amd64", "qemu-arm64", "rpi", "rpi5")
"""Enough for children, two architectures and two ways to boot."""


def git(place: Path, *words: str) -> str:
    """Call git in a checkout and return what it printed; what the user has set up is left out."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(["git", *IDENTITY, *words], cwd=place, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(place: Path, *changed: str) -> str:
    """Add a line to files, new ones too, commit everything and return the commit."""
    for name in changed:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write("# more\n")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--allow-empty", "--message", "more")
    return git(place, "rev-parse", "HEAD")


def make_fork(place: Path) -> Path:
    """Make a repository with some boards and what it takes to be taken for Boardwright; one commit."""
    copy_boards(place)
    git(place, "init", "--quiet", "--initial-branch=main")
    commit(place, "builder/setup.sh", "Makefile", "docs/index.md", "specs/one_spec.py")
    return place


def copy_boards(place: Path) -> None:
    for name in BOARDS:
        shutil.copytree(ROOT / "boards" / name, place / "boards" / name)


def make_boards_only(place: Path) -> Path:
    """Make a repository of boards, with Boardwright in the directory `boardwright`; one commit."""
    copy_boards(place)
    git(place, "init", "--quiet", "--initial-branch=main")
    commit(place, "boardwright/builder/setup.sh", "boardwright/Makefile", "README.md")
    return place


def call(*words: str | Path, cwd: Path = ROOT, **env: str) -> Done:
    """Call the command line as tests.test_cli does, but in this process: that is a tenth of the time."""
    out, err = io.StringIO(), io.StringIO()
    place = {name: value for name, value in os.environ.items() if name not in OPTION_VARIABLES} | env
    argv = ["boardwright", *map(str, words)]
    with ExitStack() as stack:
        for each in (
            chdir(cwd),
            redirect_stdout(out),
            redirect_stderr(err),
            mock.patch.dict(os.environ, place, clear=True),
            mock.patch.object(sys, "argv", argv),
        ):
            stack.enter_context(each)
        with pytest.raises(SystemExit) as end:
            cli.main()
    code = end.value.code
    return Done(argv, code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())
