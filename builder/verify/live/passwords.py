# SPDX-License-Identifier: MIT
"""Try common passwords on a running system, by ssh and at a console."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builder.system.files import load_json
from builder.system.process import run
from builder.verify.live.ssh import ANSWER_S, LiveSystem

COMMON = (
    *("", "pirate", "hypriot", "raspberry", "pi", "debian", "ubuntu", "orangepi", "odroid", "armbian", "root", "toor"),
    *("1234", "12345", "123456", "password", "admin", "user", "test", "changeme", "boardwright"),
)
"""Default passwords of similar images, and common guesses."""
TRIES = 5
"""Passwords per connection: sshd closes it after six (MaxAuthTries)."""
ASKPASS = """\
#!/bin/sh
# ssh asks this program for each password: the next line of the list.
head -n 1 "$TRIES_FILE"
sed -i 1d "$TRIES_FILE"
"""
CONSOLE = Path(__file__).with_name("try_console.py")


def find_open_by_ssh(live: LiveSystem, user: str, work: Path) -> list[str]:
    """Return the passwords that ssh accepts for a user; no key is offered.

    The system sleeps some seconds after each refusal, so connections run in parallel.
    """
    parts = [COMMON[at : at + TRIES] for at in range(0, len(COMMON), TRIES)]
    with ThreadPoolExecutor(max_workers=len(parts)) as pool:
        accepted = list(pool.map(lambda at: _try_by_ssh(live, user, parts[at], work / str(at)), range(len(parts))))
    return [password for part in accepted for password in part]


def _try_by_ssh(live: LiveSystem, user: str, passwords: Sequence[str], work: Path) -> list[str]:
    work.mkdir()
    askpass, tries = work / "askpass", work / "tries"
    askpass.write_text(ASKPASS, encoding="ascii")
    askpass.chmod(0o700)
    tries.write_text("".join(f"{password}\n" for password in passwords), encoding="ascii")
    # Of an option that is given twice, ssh takes the first value.
    first = ["BatchMode=no", "PubkeyAuthentication=no", "ControlMaster=no", f"NumberOfPasswordPrompts={TRIES}"]
    options = [part for option in first for part in ("-o", option)] + live.reach.options(Path("none"))
    argv = ["ssh", *options, "-p", str(live.reach.port), f"{user}@{live.reach.address}", "true"]
    environment = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "TRIES_FILE": str(tries)}
    if run(argv, env=environment, ok=range(256), timeout_s=ANSWER_S, name="ssh").code:
        return []
    left = len(tries.read_text(encoding="ascii").splitlines())
    return [passwords[len(passwords) - left - 1] if left < len(passwords) else "no password at all"]


def find_open_at_console(live: LiveSystem, user: str) -> list[str]:
    """Return the passwords that login(1) accepts for a user on a terminal of the system."""
    program = CONSOLE.read_text(encoding="utf-8") + f"\nmain({user!r}, {json.dumps(COMMON)})\n"
    answer = live.ask(f"sudo {shlex.join(['python3', '-I', '-'])}", stdin=program.encode())
    return [str(password) for password in load_json(answer.strip().rpartition("\n")[2])]
