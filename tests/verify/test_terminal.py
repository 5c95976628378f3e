# SPDX-License-Identifier: MIT
"""The console on a terminal, with a program of ours in the place of QEMU."""

from __future__ import annotations

import signal
import subprocess
import sys
import termios

import pexpect

PROGRAM = """
import sys
from builder.verbs.session import cli_session
from builder.verify.live.qemu.machine import Machine, use_console
with cli_session(json=False):
    sys.exit(use_console(Machine(("sh", "-c", sys.argv[1]), "/nonexistent", 1)))
"""


def start(script: str) -> pexpect.spawn[str]:
    return pexpect.spawn(sys.executable, ["-c", PROGRAM, script], timeout=60, encoding="utf-8", echo=True)


def echoes(terminal: pexpect.spawn[str]) -> bool:
    return bool(termios.tcgetattr(terminal.child_fd)[3] & termios.ECHO)


def test_the_end_of_the_machine_is_the_end_of_the_command() -> None:
    terminal = start("echo on; exit 3")
    terminal.expect("on")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 3


def test_a_terminal_is_as_it_was_after_the_machine_was_killed() -> None:
    terminal = start("stty raw -echo; echo on; exec sleep 60")
    terminal.expect("on")
    assert not echoes(terminal)
    terminal.kill(signal.SIGTERM)
    terminal.expect("interrupted")
    assert echoes(terminal)
    terminal.expect(pexpect.EOF)
    terminal.close()


def test_without_a_terminal_the_console_is_just_said() -> None:
    words = [sys.executable, "-c", PROGRAM, "echo said; exit 4"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("said\n", 4)
