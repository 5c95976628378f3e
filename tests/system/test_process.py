# SPDX-License-Identifier: MIT
"""The starter of processes, with real processes: exit codes, errors, tools, environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.errors import MachineError, SpaceError, ToolError
from builder.system.process import attach, run
from builder.system.tools import DEBIAN_PACKAGES, find_tool
from tests.support.processes import sh

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


def test_both_streams_and_the_exit_code_come_back() -> None:
    result = run(["sh", "-c", "echo out; echo err >&2; exit 3"], ok=(0, 3))
    assert (result.code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert result.argv[0].endswith("/sh")


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert sh(r"printf '\377x'").stdout == "�x"


def test_a_bad_end_shows_the_last_lines_and_how_to_see_more() -> None:
    with pytest.raises(ToolError) as caught:
        sh("for i in $(seq 40); do echo line$i >&2; done; exit 4")
    assert "sh ended with exit code 4" in caught.value.message
    assert "  | line26\n" in caught.value.message
    assert "line25" not in caught.value.message
    assert "seq 40" in caught.value.hint


def test_a_tool_that_complains_on_stdout_is_heard() -> None:
    with pytest.raises(ToolError, match="  \\| said here"):
        sh("echo said here; false")


def test_an_end_by_signal_is_named() -> None:
    with pytest.raises(ToolError, match="signal SIGSEGV"):
        sh("kill -SEGV $$")


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(MachineError, match="no-such-tool") as caught:
        run(["no-such-tool"])
    assert caught.value.hint == "apt-get install no-such-tool"


def test_the_package_of_a_program_may_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(MachineError) as caught:
        find_tool("/usr/sbin/mke2fs")
    assert caught.value.hint == f"apt-get install {DEBIAN_PACKAGES['mke2fs']}"


def test_programs_for_administrators_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "/sbin/" in find_tool("losetup")


def test_without_setpriv_programs_run_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "echo").symlink_to("/bin/echo")
    monkeypatch.setattr("builder.system.tools.search_path", lambda: str(tmp_path))
    assert run(["echo", "hello"]).stdout == "hello\n"


@pytest.mark.parametrize("words", [["No space left on device"], ["cannot write", "zstd: No space left on device", "x"]])
def test_the_words_of_a_full_disk_are_a_space_error(words: list[str]) -> None:
    with pytest.raises(SpaceError, match="No space left") as caught:
        sh("".join(f"echo {word!r} >&2;" for word in words) + "exit 1")
    assert "BOARDWRIGHT_WORK" in caught.value.hint


def test_a_full_disk_is_met_for_real() -> None:
    with pytest.raises(SpaceError):
        sh("head -c 1 /dev/zero > /dev/full")


def test_the_environment_is_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    lines = run(["env"], env={"EXTRA": "1"}).stdout.splitlines()
    seen = dict(line.split("=", 1) for line in lines)
    assert "AWS_SECRET_ACCESS_KEY" not in seen
    assert (seen["LC_ALL"], seen["TZ"], seen["EXTRA"]) == ("C.UTF-8", "UTC", "1")
    assert seen["https_proxy"] == "http://proxy:3128"


def test_the_directory_is_the_one_asked_for(tmp_path: Path) -> None:
    assert run(["pwd"], cwd=tmp_path).stdout.strip() == str(tmp_path.resolve())


def test_messages_name_the_program_that_matters() -> None:
    with pytest.raises(ToolError, match=r"^apt ended with exit code 1"):
        run(["sh", "-c", "exit 1"], name="apt")


def test_a_program_on_our_terminal_gives_its_exit_code() -> None:
    assert attach(["sh", "-c", "exit 5"]) == 5
    assert attach(["sh", "-c", 'exit "$CODE"'], env={"CODE": "6"}) == 6
