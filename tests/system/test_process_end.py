# SPDX-License-Identifier: MIT
"""The end of processes, with real processes: by a timeout, an interrupt, the death of their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builder.errors import ToolError
from builder.system import process as module
from builder.system.process import attach, run, running, wait_for
from tests.conftest import ROOT
from tests.support.processes import is_alive, read_pid, sh
from tests.support.wait import wait_until

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


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
    _, stderr = parent.communicate(timeout=10)
    assert b"KeyboardInterrupt" in stderr
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


def test_an_interrupt_is_for_the_program_on_our_terminal() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert attach(["sh", "-c", "kill -INT $PPID; exit 7"]) == 7
    assert signal.getsignal(signal.SIGINT) is before


def test_a_program_beside_us_ends_with_the_block(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with running(["sh", "-c", "echo out; echo err >&2; sleep 60 & echo $!; wait"], output=output) as process:
        wait_until(lambda: len(output.read_text().split()) == 3, "it says nothing")
        assert process.poll() is None
    assert output.read_text().split()[:2] == ["out", "err"]
    child = int(output.read_text().split()[2])
    wait_until(lambda: not is_alive(child), "its child lives")
    assert not is_alive(process.pid)


def test_a_program_beside_us_may_end_by_itself(tmp_path: Path) -> None:
    with running(["sh", "-c", "exit 3"], output=tmp_path / "output") as process:
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
