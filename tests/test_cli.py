# SPDX-License-Identifier: MIT
"""The command line as users and programs call it: output, errors, exit codes, signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder import cli
from builder.errors import KINDS
from tests.conftest import ROOT
from tests.support.rootfs_boards import write_tiny
from tests.test_errors import CODES

OPTION_VARIABLES = {"VERSION", "USER_DATA", "SOURCE_DATE_EPOCH", "BOARDWRIGHT_BOARDS", "BOARDWRIGHT_WORK"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
Done = subprocess.CompletedProcess[str]


def command(*words: str | Path, module: str = "builder") -> list[str]:
    return [sys.executable, "-m", module, *map(str, words)]


def call(*words: str | Path, cwd: Path = ROOT, module: str = "builder", **env: str) -> Done:
    """Call the command line, without what the caller's environment says about builds."""
    place = {name: value for name, value in os.environ.items() if name not in OPTION_VARIABLES}
    place |= {"PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        command(*words, module=module), cwd=cwd, env=place, capture_output=True, text=True, check=False
    )


def check_error(done: Done, code: int, *words: str) -> None:
    """An error is an exit code, nothing on stdout, words and a hint on stderr, and never a traceback."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in ("error: ", "hint: ", *words)), done.stderr


# what needs no root, no network and no Engine


def test_help_names_every_verb() -> None:
    done = call("--help")
    verbs = {"build", "plan", "boards", "schema", "shell", "new-board", "doctor", "cache"}
    assert (done.returncode, verbs - set(re.findall(r"[a-z-]+", done.stdout))) == (0, set())


def test_version() -> None:
    done = call("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "boardwright")


def test_boards() -> None:
    done = call("boards")
    rows = [line for line in done.stdout.splitlines() if line.startswith("qemu-arm64 ")]
    assert (done.returncode, done.stderr) == (0, "")
    assert re.split(r" {2,}", rows[0].strip()) == [
        *("qemu-arm64", "QEMU virtual machine, 64-bit Arm", "arm64", "booted", "ethernet serial virtual")
    ]


def test_boards_for_programs() -> None:
    boards = json.loads(call("boards", "--json").stdout)
    assert {"rpi", "qemu-amd64", "qemu-arm64"} <= set(boards)
    assert "_base" not in boards
    assert boards["rpi"]["architecture"] == "arm64"
    assert {"wifi", "gpio"} <= set(boards["rpi"]["features"])


def test_plan() -> None:
    done = call("plan", "rpi", "--version", "1.0")
    assert (done.returncode, done.stderr) == (0, "")
    steps = ("base", "packages", "system", "image", "package")
    for word in ("boardwright-rpi-1.0.img", "/boot/firmware", "2048", "docker.io", *steps):
        assert word in done.stdout
    assert "…" not in done.stdout


def test_plan_for_programs() -> None:
    words = ("plan", "rpi", "--version", "1.0", "--epoch", "1700000000", "--json")
    first, second = call(*words), call(*words)
    plan = json.loads(first.stdout)
    assert first.stdout == second.stdout
    assert (plan["board"], plan["version"], plan["epoch"]) == ("rpi", "1.0", 1700000000)


def test_plan_takes_version_and_time_from_the_environment() -> None:
    plan = json.loads(call("plan", "rpi", "--json", VERSION="2.0", SOURCE_DATE_EPOCH="1600000000").stdout)
    assert (plan["version"], plan["epoch"]) == ("2.0", 1600000000)


def test_plan_outside_of_git(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "boards", tmp_path / "boards")
    plan = json.loads(call("plan", "rpi", "--json", cwd=tmp_path).stdout)
    assert plan["version"] == "dirty"
    assert abs(plan["epoch"] - time.time()) < 600


def test_schema() -> None:
    assert call("schema").stdout == (ROOT / "boards/schema.json").read_text()


def test_new_board(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "boards", tmp_path / "boards")
    made = call("new-board", "my-pi", "--from", "rpi", cwd=tmp_path)
    assert (made.returncode, made.stdout) == (0, "boards/my-pi\n")
    assert "boardwright-my-pi-1.img" in call("plan", "my-pi", "--version", "1", cwd=tmp_path).stdout
    check_error(call("new-board", "my-pi", "--from", "rpi", cwd=tmp_path), 3, "my-pi: exists; expected a new name")


# errors


@pytest.mark.parametrize(
    "words",
    [("bild",), ("build",), ("plan", "rpi", "--nosuch"), ("build", "rpi", "--compress", "rar"), ("plan", "a", "b")],
)
def test_wrong_usage(words: tuple[str, ...]) -> None:
    done = call(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


@pytest.mark.parametrize("option", ["--state", "--output"])
def test_a_place_that_cannot_be_made(tmp_path: Path, option: str) -> None:
    """Said before anything is built: the output is written to at the very end."""
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file/below"):
        done = call("build", "rpi", option, place, COLUMNS="400")
        assert (done.returncode, done.stdout) == (2, "")
        assert "is not a directory" in done.stderr


def test_a_time_before_the_first() -> None:
    assert call("plan", "rpi", "--epoch", "-1").returncode == 2


def test_an_unknown_board() -> None:
    check_error(call("plan", "rpy"), 3, "board 'rpy': not found", "did you mean", "rpi")


def test_no_boards_here(tmp_path: Path) -> None:
    check_error(call("boards", cwd=tmp_path), 3, "boards: not found", "--boards")


@pytest.mark.parametrize("version", ["a b", "../x", "-v", "v/1"])
def test_a_version_that_is_no_file_name(version: str) -> None:
    check_error(call("plan", "rpi", f"--version={version}"), 3, version, "letters, digits", "VERSION=")


def test_user_data_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    check_error(call("plan", "rpi", USER_DATA=str(path)), 3, str(path))


def test_user_data_that_is_no_cloud_config(tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    path.write_text("hostname: x\n")
    check_error(call("plan", "rpi", "--user-data", path), 3, "#cloud-config")


def test_a_broken_recipe_says_all_of_it(tmp_path: Path) -> None:
    board = write_tiny(tmp_path / "boards", url="http://localhost/debian", key=KEYRING, extra="suit: x\nsuite: 13\n")
    done = call("plan", "board", "--boards", tmp_path / "boards")
    check_error(done, 3, f"{board}/board.yaml:2:1: suit", f"{board}/board.yaml:3:8: suite")


def test_markup_in_an_error_is_shown_as_it_is() -> None:
    check_error(call("plan", "[red]x[/red]"), 3, "[red]x[/red]")


def test_an_error_for_programs() -> None:
    done = call("build", "nosuch", "--json")
    event = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, done.stderr) == (3, "")
    assert (event["kind"], event["data"]["kind"], event["data"]["exit_code"]) == ("error", "recipe", 3)
    assert "nosuch" in event["text"]
    assert event["data"]["hint"]


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_every_kind_of_error_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, code: int
) -> None:
    def fail() -> None:
        error = KINDS[kind]("what was found [1]", hint="what to do")
        error.add_note("besides: x")
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(sys, "argv", ["boardwright"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == code
    assert capsys.readouterr().err == "error: what was found [1]\nbesides: x\nhint: what to do\n"


def test_every_kind_is_in_the_list() -> None:
    assert set(CODES) == set(KINDS)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_shell_without_a_build(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    done = call("shell", "rpi", "--engine", "local", "--state", tmp_path / "state")
    check_error(done, 4, "no finished rootfs", "boardwright build rpi")


def test_the_caches_of_a_state_directory(tmp_path: Path) -> None:
    download = tmp_path / "cache/files/0a0b"
    download.parent.mkdir(parents=True)
    download.write_bytes(b"x" * 60_000)
    here = ("--engine", "local", "--state", tmp_path)
    (line,) = json.loads(call("cache", "ls", *here, "--json").stdout)
    assert (line["kind"], line["name"]) == ("download", "0a0b")
    assert "0a0b" in call("cache", "ls", *here).stdout
    assert json.loads(call("cache", "gc", *here, "--json").stdout) == []
    assert len(json.loads(call("cache", "gc", *here, "--json", BOARDWRIGHT_CACHE_SIZE="4KiB").stdout)) == 1
    assert not download.exists()
    download.write_bytes(b"x")
    assert "removed" in call("cache", "clear", *here).stdout
    assert not download.exists()


def test_a_size_that_is_none(tmp_path: Path) -> None:
    check_error(call("cache", "gc", "--max-size", "4GB", "--state", tmp_path), 3, "--max-size", "4GB", "GiB")


def test_opposite_wishes(tmp_path: Path) -> None:
    done = call("build", "rpi", "--no-cache", "--reuse-rootfs", "--state", tmp_path)
    check_error(done, 3, "--reuse-rootfs", "--no-cache")


@pytest.mark.parametrize("verb", ["boards", "schema", "plan rpi", "boards --json", "--version"])
@pytest.mark.parametrize(
    ("where", "code", "words"), [("&-", 7, "stdout is closed"), ("/dev/full", 8, "the disk behind stdout is full")]
)
def test_a_result_that_cannot_be_written_is_an_error(verb: str, where: str, code: int, words: str) -> None:
    line = f'exec "$0" -m builder {verb} >{where}'
    done = subprocess.run(["sh", "-c", line, sys.executable], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert f"error: {words}" in done.stderr or f"error: the result cannot be written: {words}" in done.stderr


def test_a_reader_that_has_enough_is_no_error() -> None:
    line = 'exec "$0" -m builder boards --json | head -c 1'
    done = subprocess.run(["sh", "-c", line, sys.executable], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{", "")
