# SPDX-License-Identifier: MIT
"""Output and input of processes, with real processes: much, none, endless, in the log."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from builder import log
from builder.errors import SpaceError, ToolError
from builder.system.process import run
from tests.support.processes import is_alive, read_pid, sh
from tests.support.wait import wait_until

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


def test_much_output_on_both_streams_does_not_block() -> None:
    code = "import sys\nfor i in range(40000):\n print('o' * 50); print('e' * 50, file=sys.stderr)"
    result = run([sys.executable, "-c", code], timeout_s=60)
    assert (len(result.stdout), len(result.stderr)) == (40000 * 51, 40000 * 51)


def test_a_background_process_that_holds_the_output_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.system.process_output.LINGER_S", 0.3)
    child = tmp_path / "child"
    begun = time.monotonic()
    assert sh(f"echo said; sleep 60 & echo $! > {child}").stdout == "said\n"
    assert time.monotonic() - begun < 10
    wait_until(lambda: not is_alive(read_pid(child)), "the background process lives")


def test_a_daemon_that_holds_the_output_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.system.process_output.LINGER_S", 0.3)
    child = tmp_path / "child"
    try:
        assert sh(f"echo said; setsid sh -c 'echo $$ > {child}; exec sleep 60' & sleep 0.3").stdout == "said\n"
    finally:
        os.kill(read_pid(child), signal.SIGKILL)


def test_input_is_fed_and_may_be_left_unread() -> None:
    assert run(["cat"], stdin=b"hello").stdout == "hello"
    assert run(["true"], stdin=b"x" * 10_000_000).code == 0
    assert run(["cat"]).stdout == "", "without input, stdin is empty and not the terminal"


def test_input_that_nobody_reads_does_not_outlast_a_timeout() -> None:
    with pytest.raises(ToolError, match="still running"):
        run(["sleep", "60"], stdin=b"x" * 10_000_000, timeout_s=0.3)


def test_open_files_are_input_and_output(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"\x00\xff" * 1000)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as drain:
        result = run(["cat"], stdin=source, stdout=drain)
    assert result.stdout == ""
    assert (tmp_path / "out").read_bytes() == b"\x00\xff" * 1000


def test_the_log_holds_commands_and_lines_and_the_step_hears_them(tmp_path: Path) -> None:
    path, output = tmp_path / "build.log", io.StringIO()
    with log.use(log.Plain(output, verbose=True)):
        sh("echo one; echo two >&2", log_file=path)
        sh("echo 'three four'", log_file=path)
    lines = path.read_text().splitlines()
    assert lines[0].endswith("sh -c 'echo one; echo two >&2'")
    assert lines[0].startswith("$ ")
    assert sorted(lines[1:3]) == ["one", "two"]
    assert lines[4] == "three four"
    assert "| three four" in output.getvalue()


def test_a_bad_end_points_to_the_log(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        sh("false", log_file=tmp_path / "build.log")
    assert str(tmp_path / "build.log") in caught.value.hint


def test_a_log_on_a_full_disk_blocks_nobody() -> None:
    with pytest.raises(SpaceError, match="/dev/full"):
        sh("yes | head -c 1000000", log_file=Path("/dev/full"), timeout_s=30)


class _Deaf:
    """A sink whose stream was closed by the reader at its other end, once the output has begun."""

    def show(self, event: log.Event) -> None:
        raise BrokenPipeError("the reader has closed it")


def test_a_story_that_nobody_hears_blocks_nobody(tmp_path: Path) -> None:
    with log.use(_Deaf()), pytest.raises(BrokenPipeError):
        sh("yes | head -c 1000000", log_file=tmp_path / "log", timeout_s=30)


@pytest.mark.parametrize(
    "script", ["exec yes", "exec cat /dev/zero", "exec yes >&2", "(trap '' TERM; yes) & exec sleep 60"]
)
def test_a_program_that_does_not_stop_talking(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr("builder.system.process_output.OUTPUT_BYTES", 3 << 20)
    begun = time.monotonic()
    with pytest.raises(ToolError, match="sh printed more than 3 MiB and was stopped"):
        run(["sh", "-c", script])
    assert time.monotonic() - begun < 20


def test_a_long_line_is_one_line() -> None:
    assert run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo y"]).stdout == "x" * 3_000_000 + "\ny\n"
