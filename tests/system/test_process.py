# SPDX-License-Identifier: MIT
"""The starter of processes, with real processes."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builder import log
from builder.errors import MachineError, SpaceError, ToolError
from builder.system import process as module
from builder.system.process import Result, attach, run, running, wait_for
from builder.system.tools import DEBIAN_PACKAGES, find_tool
from tests.support.wait import wait_until

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


def sh(script: str, *, log_file: Path | None = None, timeout_s: float | None = None) -> Result:
    return run(["sh", "-c", script], log_file=log_file, timeout_s=timeout_s)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def read_pid(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"), f"{path} was not written")
    return int(path.read_text())


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


def test_a_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    child = tmp_path / "child"
    begun = time.monotonic()
    with pytest.raises(ToolError, match=r"sh was still running after 0\.5 s"):
        sh(f"sleep 60 & echo $! > {child}; wait", timeout_s=0.5)
    assert time.monotonic() - begun < 10
    wait_until(lambda: not is_alive(read_pid(child)), "the grandchild lives")


def test_who_ignores_the_request_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_TIMEOUT_S", 0.3)
    child = tmp_path / "child"
    with pytest.raises(ToolError, match="still running"):
        sh(f"trap '' TERM; sleep 60 & echo $! > {child}; while :; do wait; done", timeout_s=0.5)
    wait_until(lambda: not is_alive(read_pid(child)), "the grandchild lives")


def test_a_program_may_clean_up_when_asked_to_end(tmp_path: Path) -> None:
    with pytest.raises(ToolError):
        sh(f"trap 'echo clean > {tmp_path}/note; exit' TERM; while :; do sleep 0.05; done", timeout_s=0.5)
    assert (tmp_path / "note").read_text() == "clean\n"


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


def test_the_log_holds_commands_and_lines_and_the_step_hears_them(tmp_path: Path) -> None:
    path, story = tmp_path / "build.log", io.StringIO()
    with log.use(log.Plain(story, verbose=True)):
        sh("echo one; echo two >&2", log_file=path)
        sh("echo 'three four'", log_file=path)
    lines = path.read_text().splitlines()
    assert lines[0].endswith("sh -c 'echo one; echo two >&2'")
    assert lines[0].startswith("$ ")
    assert sorted(lines[1:3]) == ["one", "two"]
    assert lines[4] == "three four"
    assert "| three four" in story.getvalue()


def test_a_bad_end_points_to_the_log(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        sh("false", log_file=tmp_path / "build.log")
    assert str(tmp_path / "build.log") in caught.value.hint


def test_a_log_on_a_full_disk_blocks_nobody() -> None:
    with pytest.raises(SpaceError, match="/dev/full"):
        sh("yes | head -c 1000000", log_file=Path("/dev/full"), timeout_s=30)


class _Deaf:
    """A sink whose stream was closed by the reader at its other end, once the story has begun."""

    def show(self, event: log.Event) -> None:
        raise BrokenPipeError("nobody listens")


def test_a_story_that_nobody_hears_blocks_nobody(tmp_path: Path) -> None:
    with log.use(_Deaf()), pytest.raises(BrokenPipeError):
        sh("yes | head -c 1000000", log_file=tmp_path / "log", timeout_s=30)


PARENT = """
import sys
from builder.system.process import run
run(["sh", "-c", 'echo $$ > "$0"; exec sleep 60', sys.argv[1]])
"""


def started(tmp_path: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A Python process inside `run`, and the pid of what it runs."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "pid"], cwd=ROOT, stderr=subprocess.PIPE)
    return parent, read_pid(tmp_path / "pid")


def test_kill_9_of_the_parent_kills_the_child(tmp_path: Path) -> None:
    parent, child = started(tmp_path)
    assert is_alive(child)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not is_alive(child), "the child outlived its parent")


OTHER_USER = """
import sys
from pathlib import Path
from builder.system.process import attach, running
become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
command = [*become, "sh", "-c", 'echo $$; exec sleep 60']
if sys.argv[2] == "beside":
    with running(command, output=Path(sys.argv[1])) as process:
        process.wait()
else:
    attach(command)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take another user")
@pytest.mark.parametrize("how", ["beside", "on the terminal"])
def test_kill_9_of_the_parent_kills_a_child_that_took_another_user(tmp_path: Path, how: str) -> None:
    """Its parent-death signal is gone then."""
    words = [sys.executable, "-c", OTHER_USER, str(tmp_path / "pid"), how]
    with (tmp_path / "pid").open("wb") as stream:
        parent = subprocess.Popen(words, cwd=ROOT, stdout=stream, stderr=subprocess.DEVNULL)
    child = read_pid(tmp_path / "pid")
    wait_until(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n", "it did not get as far")
    assert Path(f"/proc/{child}").stat().st_uid == 65534
    parent.kill()
    parent.wait()
    try:
        wait_until(lambda: not is_alive(child), "the child outlived its parent")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_watchdog_ends_with_what_it_watches(tmp_path: Path) -> None:
    before = _find_children()
    with running(["sleep", "60"], output=tmp_path / "output") as process:
        assert len(_find_children() - before) == 2
    assert not is_alive(process.pid)
    assert _find_children() == before
    assert attach(["true"]) == 0
    assert _find_children() == before


def _find_children() -> set[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text().split()}


ORPHAN = """
import os, sys, time
from builder.system import process as run
command = [*run._guard(), *sys.argv[1:]]
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent:
        time.sleep(0.001)
    os.execvp(command[0], command)
"""


def test_what_starts_when_its_parent_is_dead_already_does_nothing(tmp_path: Path) -> None:
    """The parent dies between the start of the child and the child's request to die with it."""
    words = [sys.executable, "-c", ORPHAN, "touch", str(tmp_path / "file")]
    subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True)  # To the end of all that hold the pipe.
    assert not (tmp_path / "file").exists()


def test_an_interrupt_ends_the_child(tmp_path: Path) -> None:
    parent, child = started(tmp_path)
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=10)
    assert b"KeyboardInterrupt" in said
    assert not is_alive(child)


def test_an_interrupt_in_this_process_ends_the_child(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def interrupt() -> None:
        read_pid(pid)  # The child runs.
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        sh(f"echo $$ > {pid}; sleep 60")
    interrupter.join()
    assert not is_alive(read_pid(pid))


def test_a_session_of_its_own_keeps_the_terminals_interrupt_away() -> None:
    pid, session = run([sys.executable, "-c", "import os; print(os.getpid(), os.getsid(0))"]).stdout.split()
    assert pid == session
    with contextlib.suppress(ProcessLookupError):
        assert os.getsid(0) != int(session)


def test_messages_name_the_program_that_matters() -> None:
    with pytest.raises(ToolError, match=r"^apt ended with exit code 1"):
        run(["sh", "-c", "exit 1"], name="apt")


def test_a_program_on_our_terminal_gives_its_exit_code() -> None:
    assert attach(["sh", "-c", "exit 5"]) == 5
    assert attach(["sh", "-c", 'exit "$CODE"'], env={"CODE": "6"}) == 6


def test_an_interrupt_is_for_the_program_on_our_terminal() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert attach(["sh", "-c", "kill -INT $PPID; exit 7"]) == 7
    assert signal.getsignal(signal.SIGINT) is before


def test_a_program_beside_us_ends_with_the_block(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with running(["sh", "-c", "echo out; echo err >&2; sleep 60 & echo $!; wait"], output=said) as process:
        wait_until(lambda: len(said.read_text().split()) == 3, "it says nothing")
        assert process.poll() is None
    assert said.read_text().split()[:2] == ["out", "err"]
    child = int(said.read_text().split()[2])
    wait_until(lambda: not is_alive(child), "its child lives")
    assert not is_alive(process.pid)


def test_a_program_beside_us_may_end_by_itself(tmp_path: Path) -> None:
    with running(["sh", "-c", "exit 3"], output=tmp_path / "said") as process:
        assert process.wait(10) == 3


def test_a_program_beside_us_has_its_time(tmp_path: Path) -> None:
    with running(["sh", "-c", "exit 3"], output=tmp_path / "log") as process:
        assert wait_for(process, 10, "the program") == 3
    with (
        running(["sleep", "600"], output=tmp_path / "log") as process,
        pytest.raises(ToolError, match=r"the program was still running after 0\.1 s"),
    ):
        wait_for(process, 0.1, "the program")
    assert process.returncode is not None


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
