# SPDX-License-Identifier: MIT
"""Passwords that everybody tries, tried at a real login(1) and a real sshd, with users of a /etc of their own."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import pytest

from builder.system.process import run, running
from builder.verify.live.passwords import COMMON, find_open_at_console, find_open_by_ssh
from builder.verify.live.qemu.watch import greets
from builder.verify.live.ssh import LiveSystem, Running, SshAddress

pytestmark = pytest.mark.machine

OTHER_ETC = """\
set -eu
cd "$0"
mkdir etc home
cp --archive /etc/. etc
mount --bind etc /etc
useradd --shell /bin/bash --home-dir "$PWD/home" mallory
chown mallory home
%s
exec "$@"
"""
"""Runs a program where /etc is a copy with one more user; that of the machine is not changed."""
PASSWORDS = {
    "none that fits": ("usermod --lock mallory", []),
    "of his own": ("echo mallory:$(head -c 12 /dev/urandom | base64) | chpasswd", []),
    "common": ("echo mallory:hypriot | chpasswd", ["hypriot"]),
    "the last": (f"echo mallory:{COMMON[-1]} | chpasswd", [COMMON[-1]]),
}


def inside(change: str, work: Path, *argv: str | Path) -> list[str | Path]:
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", OTHER_ETC % change, work, *argv]


def make_system(work: Path, port: int = 22) -> LiveSystem:
    reach = SshAddress("mallory", "127.0.0.1", port, fleeting=True)
    return LiveSystem(Running(reach, "x"), work, work / "control", ExitStack())


@pytest.mark.parametrize("kind", PASSWORDS)
def test_a_console_takes_the_common_ones_alone(kind: str, tmp_path: Path) -> None:
    change, expected = PASSWORDS[kind]
    assert try_console(change, tmp_path) == expected


def test_a_console_that_asks_for_no_password_takes_all(tmp_path: Path) -> None:
    assert try_console("passwd --delete mallory", tmp_path) == list(COMMON)


def try_console(change: str, work: Path) -> list[str]:
    """Ask a live system whose connection is a shell with another /etc."""

    class Here:
        def ask(self, command: str, *, stdin: bytes) -> str:
            assert command == "sudo python3 -I -"
            return run(inside(change, work, sys.executable, "-I", "-"), stdin=stdin, timeout_s=90).stdout

    return find_open_at_console(cast("LiveSystem", Here()), "mallory")


@contextmanager
def ssh_server(change: str, work: Path, *options: str) -> Iterator[int]:
    """Run an ssh server whose users are those of another /etc; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    run(["dropbearkey", "-t", "ed25519", "-f", work / "key"])
    place = ("-P", work / "pid", "-p", f"127.0.0.1:{port}")
    argv: tuple[str | Path, ...] = ("dropbear", *options, "-F", "-E", "-r", work / "key", *place)
    with running(inside(change, work, *argv), output=work / "log"):
        end = time.monotonic() + 30
        while not greets(port):
            assert time.monotonic() < end
        yield port


@pytest.mark.parametrize("kind", PASSWORDS)
def test_ssh_takes_the_common_ones_alone(kind: str, tmp_path: Path) -> None:
    change, expected = PASSWORDS[kind]
    with ssh_server(change, tmp_path) as port:
        assert find_open_by_ssh(make_system(tmp_path, port), "mallory", tmp_path) == expected


def test_ssh_that_asks_for_no_password_is_found(tmp_path: Path) -> None:
    # -B: empty passwords are taken. dropbear lets such a user in before it asks.
    with ssh_server("passwd --delete mallory", tmp_path, "-B") as port:
        found = find_open_by_ssh(make_system(tmp_path, port), "mallory", tmp_path)
    assert set(found) == {"no password at all"}
