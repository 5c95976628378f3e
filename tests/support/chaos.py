# SPDX-License-Identifier: MIT
"""A place to build a tiny board in a second, break the build, and look at what is left.

The board's rootfs is made by hand and taken by `--reuse-rootfs`; the image, its loop devices and its artefacts are
real. Tools may be replaced by ones that stop at a point until they are killed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.choices import EmulationChoice, Engine
from builder.doctor.doctor import examine
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.rootfs.apt.resolve import Resolved
from builder.rootfs.inputs import find_inputs
from builder.rootfs.model import InstalledPackage
from builder.rootfs.stored_tree import write_stored_tree
from builder.system.resources import attached_files
from tests.conftest import ROOT
from tests.support.recipes import write_board

FATAL = Path(__file__).with_name("fatal.py")
ON_LOOP = 'case "$*" in (*/dev/loop*) true;; (*) false;; esac'
"""A test of the shell: a tool is called for a loop device."""
LEFT = ("leftovers", "loop devices")
"""What of the doctor's findings is about what builds left behind."""
VERSION, EPOCH = "1", 1_700_000_000
WAYS = (
    *("--version", VERSION, "--epoch", str(EPOCH), "--assembler", "loop", "--compress", "none"),
    *("--reuse-rootfs", "--no-verify"),
)
"""How the tiny board is built."""

TINY = """\
title: A tiny board
architecture: amd64
suite: trixie
archives:
  debian:
    url: http://deb.debian.org/debian
    suites: [trixie]
    key: {file: /usr/share/keyrings/debian-archive-keyring.gpg}
kernel:
  packages: [linux-image-cloud-amd64]
docker:
  source: none
hostname: tiny
locale: C.UTF-8
timezone: Etc/UTC
table:
  type: mbr
  partitions:
    - {name: boot, filesystem: fat32, size: 34MiB, mount: /boot, label: BOOT, flags: [boot]}
    - {name: root, filesystem: ext4, size: 16MiB, mount: /, label: root}
boot:
  method: extlinux
  cmdline: {console: console=ttyS0, root: rw rootwait}
"""


@dataclass(frozen=True)
class Place:
    """Directories of one test. `path` is in the command line of every process that belongs to it."""

    path: Path

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def output(self) -> Path:
        return self.path / "dist"

    @property
    def boards(self) -> Path:
        return self.path / "boards"

    @property
    def reached(self) -> Path:
        """Made by a tool that stops."""
        return self.path / "reached"

    def add_board(self, name: str = "tiny") -> None:
        """Write a board, and a finished rootfs into its room."""
        write_board(self.boards, name, TINY)
        write_rootfs(self.state / "rooms" / name / "rootfs", self.boards, name)

    def plan(self, board: str = "tiny") -> Plan:
        return make_plan(load_board(self.boards, board), version=VERSION, epoch=EPOCH, user_data=None)

    def command(self, board: str, *options: str | Path, reuse: bool) -> list[str]:
        """Return the arguments of `boardwright` for a build; options that come twice count the last time."""
        ways = [way for way in WAYS if reuse or way != "--reuse-rootfs"]
        paths = ["--boards", self.boards, "--state", self.state, "--output", self.output]
        return [*map(str, ["build", board, "--json", "--engine", "local", *ways, *paths, *options])]

    def start(
        self, *options: str | Path, board: str = "tiny", reuse: bool = True, die_after: int = 0, by: str = ""
    ) -> Running:
        """Start a build; with `die_after`, one that gets the signal `by` after that many lines of its journal."""
        fatal = [str(FATAL), str(die_after), by] if die_after else ["-m", "builder"]
        environment = {**os.environ, "PATH": f"{self.path}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        return Running(
            subprocess.Popen(
                [sys.executable, *fatal, *self.command(board, *options, reuse=reuse)],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )

    def build(self, *options: str | Path, **ways: Any) -> Running:
        """Build to the end."""
        running = self.start(*options, **ways)
        running.wait()
        return running

    def doctor(self, *options: str) -> tuple[int, list[str]]:
        """Ask the doctor; return its exit code and what it finds left behind."""
        done = subprocess.run(
            [sys.executable, "-m", "builder", "doctor", "--engine", "local", "--state", self.state, "--json", *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        findings = json.loads(done.stdout)
        return done.returncode, [each["text"] for each in findings if each["area"] in LEFT and not each["ok"]]

    def leftovers(self) -> list[str]:
        """Return what the doctor would find left behind, without a second for the start of the command."""
        findings = examine(self.state, engine=Engine.LOCAL)
        return [each.text for each in findings if each.area in LEFT and not each.ok]

    def stop_in(self, tool: str, *, when: str = "true", then: str = "") -> None:
        """Replace a tool by one that stops when a build holds something and the shell's test `when` is true.

        It makes `reached` and dawdles until it is killed; with `then`, until that file is there, and goes on.
        """
        real = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        dawdle = self.path / "bin" / "dawdle"
        wait = f"while [ ! -e {self.path / then} ]; do sleep 0.02; done" if then else f"exec {dawdle} 600"
        self.add_tool(
            tool,
            "#!/bin/sh\n"
            f"if ls {self.state}/journals/*.jsonl >/dev/null 2>&1 && {when}; then touch {self.reached}; {wait}; fi\n"
            f'exec {real} "$@"\n',
        )
        if not dawdle.exists():
            shutil.copy("/bin/sleep", dawdle)

    def add_tool(self, name: str, script: str) -> None:
        """Put a script before the tool of that name."""
        path = self.path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def unstop(self) -> None:
        """Give the real tools back."""
        shutil.rmtree(self.path / "bin", ignore_errors=True)
        self.reached.unlink(missing_ok=True)

    def traces(self) -> list[str]:
        """Return everything of a build that is still there and should not be."""
        return [
            *(f"{name} on {file}" for name, file in attached_files() if str(self.state) in file),
            *(f"mount {line.split()[4]}" for line in read_mounts() if f"{self.state}/" in line),
            *map(str, self.state.glob("rooms/*/scratch*")),
            *map(str, self.state.glob("journals/*")),
            *(str(path) for path in self.output.glob(".*")),
            *self.processes(),
        ]

    def products(self) -> list[str]:
        """Return the names of finished artefacts."""
        return sorted(path.name for path in self.output.glob("*"))

    def processes(self) -> list[str]:
        """Return the command lines of living processes that belong here."""
        return [line for line in map(read_command, Path("/proc").glob("[0-9]*")) if str(self.path) in line]


@dataclass(frozen=True)
class Running:
    """A build that was started, its output and its end."""

    process: subprocess.Popen[str]
    _parts: list[str] = field(default_factory=list)

    def wait(self) -> int:
        """Wait for the end and return the exit code (minus the number of the signal that killed it)."""
        text = self.process.communicate(timeout=120)[0]
        self._parts.append(text)
        return self.process.returncode

    @property
    def code(self) -> int:
        return self.process.returncode

    @property
    def output(self) -> str:
        return "".join(self._parts)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines() if line.startswith('{"kind"')]

    def wait_for_line(self, words: str) -> None:
        """Read the output up to a line with these words."""
        assert self.process.stdout
        for line in self.process.stdout:
            self._parts.append(line)
            if words in line:
                return
        raise AssertionError(f"it ended without saying {words!r}")


def read_mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def read_command(process: Path) -> str:
    try:
        if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return ""
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""  # It ended meanwhile.


def write_rootfs(directory: Path, boards: Path, board: str) -> None:
    """Write a rootfs of a few files that a build of the board takes."""
    plan = make_plan(load_board(boards, board), version=VERSION, epoch=EPOCH, user_data=None)
    for tree in (directory / "tree", directory / "boot"):
        (tree / "etc").mkdir(parents=True)
        (tree / "etc" / "data").write_bytes(os.urandom(2 * 1024 * 1024))
    (directory / "tree/boot").mkdir()
    origins = find_inputs(plan, Resolved((), ()), emulation=EmulationChoice.AUTO)
    packages = (InstalledPackage("base", "1", "amd64", 1),)
    write_stored_tree(directory, is_whole=True, below=(), packages=packages, origins=origins, mounts=["/boot"])
