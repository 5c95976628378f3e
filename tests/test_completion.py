# SPDX-License-Identifier: MIT
"""Completion of the command line by shells: what is offered, and that it can be installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROGRAM = "import sys; sys.argv[0] = 'boardwright'; from builder.cli import main; main()"


def call(*options: str, **env: str) -> str:
    argv = [sys.executable, "-c", PROGRAM, *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("boardwright ver", ["verify"]),
        ("boardwright ru", []),  # `run` is for this program itself.
        ("boardwright build --ass", ["--assembler"]),
        ("boardwright build --engine ", ["auto", "docker", "local"]),
        ("boardwright build rpi-", ["rpi-armhf", "rpi-armv6", "rpi-foundation", "rpi-k3s", "rpi-minimal"]),
        ("boardwright shell qemu-a", ["qemu-amd64", "qemu-arm64", "qemu-armhf"]),
        ("boardwright cache ", ["ls", "gc", "clear"]),
        ("boardwright ci install --provider git", ["github", "gitlab"]),
    ],
)
def test_what_can_be_typed_next_is_offered(typed: str, offered: list[str]) -> None:
    words = typed.split(" ")
    answer = call(_BOARDWRIGHT_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))
    assert answer.split() == offered


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/boardwright.sh"),
        ("zsh", ".zfunc/_boardwright"),
        ("fish", ".config/fish/completions/boardwright.fish"),
    ],
)
def test_it_can_be_installed_for_each_shell(tmp_path: Path, shell: str, file: str) -> None:
    # The shell is found by the parent process otherwise, which is pytest here.
    call("--install-completion", shell, HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_BOARDWRIGHT_COMPLETE" in (tmp_path / file).read_text(encoding="utf-8")
