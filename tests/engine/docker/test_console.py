# SPDX-License-Identifier: MIT
"""A shell in a container: in a terminal, which it leaves as it was, and through pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.support.stub_builds import Containers, RequestOf, StubBuild

pytestmark = pytest.mark.engine


@pytest.fixture
def argv(request_of: RequestOf, stub: str) -> list[str]:
    build: StubBuild = request_of("shell")
    code = (
        "import pathlib, sys\n"
        "from builder.engine.docker import console\n"
        f"console.make_builder_image = lambda _: {stub!r}\n"
        f"sys.exit(console.open_shell('x', boards=pathlib.Path({str(build.request.boards)!r}),"
        f" state=pathlib.Path({str(build.state)!r}), volume={build.volume!r}))\n"
    )
    return [sys.executable, "-c", code]


def test_a_terminal_is_joined_and_followed(argv: list[str], containers: Containers) -> None:
    child = pexpect.spawn(
        "sh", dimensions=(30, 90), timeout=20, encoding="utf-8", env={"PS1": "here> ", "PATH": "/bin"}
    )
    child.expect("here> ")
    child.sendline(" ".join([argv[0], "-c", f"'{argv[2].replace(chr(39), chr(34))}'"]) + "; echo code $?; stty -a")
    child.expect(r"size os.terminal_size\(")
    child.setwinsize(40, 100)
    child.sendline("size")
    child.expect(r"columns=100, lines=40")
    child.sendline("bye")
    child.expect("code 7")
    child.expect(r" icanon.* echo ")
    child.sendline("exit")
    child.close()
    assert not containers()


def test_pipes_are_joined_and_kept_apart(argv: list[str], containers: Containers) -> None:
    done = subprocess.run(argv, input="one\ntwo\n", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 7
    assert done.stdout == "no terminal\nheard one\nheard two\n"
    assert "aside two\n" in done.stderr
    assert not containers()


def test_the_state_is_clear_afterwards(argv: list[str], tmp_path: Path) -> None:
    subprocess.run(argv, input="bye\n", capture_output=True, text=True, timeout=60, check=False)
    assert not list((tmp_path / "state" / "journals").glob("*"))
