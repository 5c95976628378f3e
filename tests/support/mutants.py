# SPDX-License-Identifier: MIT
"""A good image, broken in one place, for real: ext4 by debugfs, FAT by mtools, the table by sfdisk, bytes by hand.

One copy serves many breakages: before each, every piece that differs from the good image is put back.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from builder.plan.model import Plan
from builder.units import MIB, SECTOR
from builder.verify.report import Report
from builder.verify.runner import run_specs
from builder.verify.task import Task


def tool(*argv: str | Path, typed: str | bytes = "") -> bytes:
    data = typed.encode() if isinstance(typed, str) else typed
    done = subprocess.run([*map(str, argv)], check=True, capture_output=True, input=data)
    assert b"File not found" not in done.stderr, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Mutant:
    """A copy of the good image, with the ways to break it."""

    good: Path
    disk: Path
    listing: Path
    """The list of packages beside it."""
    scratch: Path
    plan: Plan
    touched: set[str] = field(default_factory=set)
    """What of the image was changed since `break_by` began with a breakage: paths, and names in the boot partition."""

    @property
    def kernel(self) -> str:
        names = [name for name in self.names("/boot") if name.startswith("vmlinuz-")]
        return names[0].removeprefix("vmlinuz-")

    def break_by(self, breakages: Iterable[Callable[[Mutant], None]]) -> None:
        """Make breakages one after the other; AssertionError where two touch the same thing, or one cannot be made."""
        before: set[str] = set()
        for breakage in breakages:
            self.touched.clear()
            breakage(self)
            assert before.isdisjoint(self.touched), f"{breakage.__name__} touches what another does: {self.touched}"
            before |= self.touched

    # The disk

    def heal(self) -> None:
        """Make the copy equal to the good image again."""
        os.truncate(self.disk, self.good.stat().st_size)
        with self.good.open("rb") as good, self.disk.open("r+b", buffering=0) as copy:
            end = position = 0
            while True:
                try:
                    position = os.lseek(copy.fileno(), end, os.SEEK_DATA)
                except OSError:
                    return
                end = os.lseek(copy.fileno(), position, os.SEEK_HOLE)
                for start in range(position, end, MIB):
                    size = min(MIB, end - start)
                    wanted = os.pread(good.fileno(), size, start)
                    if os.pread(copy.fileno(), size, start) != wanted:
                        os.pwrite(copy.fileno(), wanted, start)

    def poke(self, offset: int, data: bytes) -> None:
        """Overwrite bytes of the disk."""
        self.touched.add(f"byte {offset}")
        with self.disk.open("r+b", buffering=0) as stream:
            stream.seek(offset)
            stream.write(data)

    def start(self, mount: str) -> int:
        slot = self.plan.slot(mount)
        assert slot
        return slot.start_sector * SECTOR

    # The root filesystem

    @property
    def _ext4(self) -> str:
        return f"{self.disk}?offset={self.start('/')}"

    def ask(self, command: str) -> bytes:
        return tool("debugfs", "-R", command, self._ext4)

    def change(self, *commands: str) -> None:
        """Let debugfs change something."""
        words = " ".join(commands).split()
        self.touched.update(word for word in words if word.startswith("/") and not word.startswith(str(self.scratch)))
        tool("debugfs", "-w", "-f", "-", self._ext4, typed="\n".join([*commands, ""]))

    def names(self, directory: str) -> list[str]:
        return [line.split("/")[5] for line in self.ask(f"ls -p {directory}").decode().splitlines() if "/" in line]

    def read(self, path: str) -> bytes:
        return self.ask(f"cat {path}")

    def put(self, path: str, data: bytes | str, *, mode: int = 0o644, uid: int = 0) -> None:
        """Write a file, new or in the place of another, as old as the build."""
        source = self.scratch / "put"
        source.write_bytes(data.encode() if isinstance(data, str) else data)
        if path.rpartition("/")[2] in self.names(path.rpartition("/")[0] or "/"):
            self.change(f"rm {path}")
        self.change(f"write {source} {path}")
        self.set_mode(path, stat.S_IFREG | mode)
        self.change(f"sif {path} uid {uid}", f"sif {path} gid {uid}", f"sif {path} mtime @{self.plan.epoch}")

    def edit(self, path: str, old: str, new: str, *, mode: int = 0o644, gid: int = 0) -> None:
        """Replace a text in a file."""
        text = self.read(path).decode()
        assert old in text, f"{path} has no {old!r}"
        self.put(path, text.replace(old, new, 1), mode=mode)
        self.change(f"sif {path} gid {gid}")

    def link(self, path: str, target: str) -> None:
        self.change(f"symlink {path} {target}", f"sif {path} mtime @{self.plan.epoch}")

    def set_mode(self, path: str, mode: int) -> None:
        """Set kind and permissions together, as debugfs does."""
        self.change(f"sif {path} mode 0{mode:o}")

    # The boot partition

    @property
    def _fat(self) -> tuple[str, str]:
        return ("-i", f"{self.disk}@@{self.start('/boot/firmware')}")

    def read_boot(self, name: str) -> bytes:
        return tool("mtype", *self._fat, f"::{name}")

    def put_boot(self, name: str, data: bytes | str) -> None:
        source = self.scratch / "put"
        source.write_bytes(data.encode() if isinstance(data, str) else data)
        os.utime(source, (self.plan.epoch - 86400,) * 2)
        self.touched.add(name)
        tool("mcopy", *self._fat, "-m", "-o", source, f"::{name}")

    def edit_boot(self, name: str, old: str, new: str) -> None:
        text = self.read_boot(name).decode()
        assert old in text, f"{name} has no {old!r}"
        self.put_boot(name, text.replace(old, new, 1))

    def remove_boot(self, name: str) -> None:
        self.touched.add(name)
        tool("mdel", *self._fat, f"::{name}")

    # What the specs find

    def verify(self) -> Report:
        scratch = self.scratch / "specs"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        task = Task(
            plan=self.plan,
            image=str(self.disk),
            name=self.disk.name,
            packages=str(self.listing),
            scratch=str(scratch),
        )
        return run_specs(task)
