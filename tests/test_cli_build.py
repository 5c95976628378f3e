# SPDX-License-Identifier: MIT
"""Builds on this machine by the command line, with a script in mmdebstrap's place: failures, signals, what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.system.workspace import open_workspace
from tests.conftest import ROOT
from tests.support.archive import serve
from tests.support.keys import OpenPgpKey, make_openpgp_key
from tests.support.rootfs_boards import write_tiny
from tests.support.wait import wait_until
from tests.test_cli import KEYRING, Done, check_error, command

pytestmark = pytest.mark.machine

SHA256 = "0" * 64
LAST_BUT_ONE = "while [ $# -gt 2 ]; do shift; done"
"""Makes $1 the target that mmdebstrap is given."""


@pytest.fixture(scope="module")
def signer() -> Iterator[OpenPgpKey]:
    with make_openpgp_key("cli") as one:
        yield one


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., list[str]]:
    """Return the call that builds a tiny board, whose mmdebstrap is the given script, and whose archive has nothing."""

    def make(script: str = "exit 1", *, extra: str = "", options: tuple[str, ...] = ()) -> list[str]:
        tool = tmp_path / "bin/mmdebstrap"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        archives = tool.with_name("apt-get")  # It has nothing to say: there is no archive at that address.
        archives.write_text("#!/bin/sh\n")
        archives.chmod(0o755)
        write_tiny(tmp_path / "boards", url="http://127.0.0.1:9/debian", key=KEYRING, extra=extra)
        places = ("--boards", tmp_path / "boards", "--state", tmp_path / "state", "--output", tmp_path / "dist")
        words = command("build", "board", "--engine", "local", "--version", "1", *places, *options)
        return ["env", f"PATH={tool.parent}:{os.environ['PATH']}", *words]

    return make


def _run(words: list[str]) -> Done:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def _check_nothing_is_left(directory: Path) -> None:
    room = directory / "state/rooms/board"
    assert sorted(path.name for path in room.iterdir() if path.name != "build.log") == []
    assert list((directory / "state/journals").iterdir()) == []
    assert not (directory / "dist").exists() or list((directory / "dist").iterdir()) == []
    assert str(directory) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("echo 'E: it broke' >&2; exit 3", 7, ["mmdebstrap ended with exit code 3", "E: it broke", "build.log"]),
        ("echo 'tar: No space left on device' >&2; exit 1", 8, ["No space left on device", "BOARDWRIGHT_WORK"]),
        ("echo 'E: The repository x is not signed.' >&2; exit 1", 6, ["cannot be trusted", "is not signed"]),
        ("echo 'E: Failed to fetch http://x  404  Not Found' >&2; exit 1", 5, ["cannot be reached", "404"]),
        ("echo 'E: Unable to locate package tiny-kernel' >&2; exit 1", 3, ["no package tiny-kernel"]),
        ("kill -KILL $$", 7, ["mmdebstrap ended with"]),
    ],
)
def test_a_build_that_fails(
    tmp_path: Path, build: Callable[..., list[str]], script: str, code: int, words: list[str]
) -> None:
    check_error(_run(build(script)), code, *words)
    _check_nothing_is_left(tmp_path)
    assert (tmp_path / "state/rooms/board/build.log").read_text().startswith("$ ")


def test_a_key_with_another_fingerprint(tmp_path: Path, build: Callable[..., list[str]], signer: OpenPgpKey) -> None:
    (tmp_path / "www").mkdir()
    signer.write_public(tmp_path / "www/key.asc")
    with serve(tmp_path / "www") as url:
        key = f'{{url: "{url}/key.asc", fingerprint: "{"0" * 40}"}}'
        archive = f"archives: {{vendor: {{url: {url}, suites: [x], key: {key}}}}}"
        check_error(_run(build(extra=archive)), 6, signer.fingerprint, "0" * 40)
        missing = archive.replace("key.asc", "nosuch.asc")
        check_error(_run(build(extra=missing)), 5, "nosuch.asc", "404")
    _check_nothing_is_left(tmp_path)


def test_a_kernel_with_another_digest(tmp_path: Path, build: Callable[..., list[str]]) -> None:
    """The tree that is there stands for mmdebstrap's; what it holds is not looked at before the package is."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www/linux.deb").write_text("not the one")
    script = f'{LAST_BUT_ONE}; mkdir -p "$1/var/tmp" "$1/var/lib/dpkg"; touch "$1/var/lib/dpkg/status"'
    with serve(tmp_path / "www") as url:
        debs = f'kernel: {{debs: [{{url: "{url}/linux.deb", sha256: "{SHA256}"}}]}}'
        check_error(_run(build(script, extra=debs)), 6, "/linux.deb has sha256", SHA256)
    _check_nothing_is_left(tmp_path)


def test_a_board_that_is_being_built(tmp_path: Path, build: Callable[..., list[str]]) -> None:
    with open_workspace(tmp_path / "state", "board"):
        done = _run(build(options=("--no-wait",)))
    check_error(done, 9, f"board board is being built by process {os.getpid()}")


def test_an_output_that_may_not_be_written_to(tmp_path: Path, build: Callable[..., list[str]]) -> None:
    """Said at once. The place is one that root may not write to either, in a mount namespace of the test's."""
    (tmp_path / "dist").mkdir()
    script = 'mount -t tmpfs -o ro none "$1" && shift && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "-", str(tmp_path / "dist"), "env", "COLUMNS=400", *build()]
    done = _run(words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path}/dist is not writable" in done.stderr
    assert not (tmp_path / "state").exists()


@contextmanager
def _started(words: list[str], sign: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a build and wait until its mmdebstrap runs."""
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            wait_until(lambda: sign.exists() or process.poll() is not None, "mmdebstrap was not started", 30)
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_a_build_that_is_stopped(
    tmp_path: Path, build: Callable[..., list[str]], number: signal.Signals, json_option: tuple[str, ...]
) -> None:
    sign = tmp_path / "sign"
    sleep = f"sleep 61.{os.getpid()}"
    script = f'{LAST_BUT_ONE}; mkdir -p "$1/x"; {sleep} & touch {sign}; wait'
    with _started(build(script, options=json_option), sign) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (130, False), err
    if json_option:
        assert json.loads(out.splitlines()[-1])["data"]["kind"] == "interrupted"
    else:
        assert "error: interrupted; all resources were released" in err
    _check_nothing_is_left(tmp_path)
    assert subprocess.run(["pgrep", "-f", sleep], capture_output=True, check=False).stdout == b""
