# SPDX-License-Identifier: MIT
"""How long a user waits for the command line, start of the container and hand-out included:

    make bench-loop

The state directory, the output and the Engine's volume are of this run alone and removed at its end. Packages are
downloaded before anything is timed. What takes seconds is run RUNS times (3 without) and its median counts. The table
goes to stdout, each command with its seconds to stderr. DIRECTORY, the only argument, is where the files go: a
directory of /var/tmp without, because the hand-out depends on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import NotFound

from builder.engine.docker.builder_image import make_builder_image
from builder.engine.docker.connect import open_engine
from builder.engine.docker.container import STATE

ROOT = Path(__file__).resolve().parents[1]
RUNS = int(os.environ.get("RUNS", "3"))
FIRST, SECOND = "rpi", "qemu-arm64"
"""Boards of one architecture and one suite, which share no more than that."""
WITHOUT_STORAGE = (
    "from builder.engine.docker import run; run.find_layer = lambda *_: None; from builder.cli import main; main()"
)
"""The command line where the Engine's storage cannot be read: a user who is not root, an Engine elsewhere."""


@dataclass(frozen=True)
class Taken:
    """What a command took: seconds of the whole, and its events."""

    seconds: float
    events: Sequence[Mapping[str, Any]]

    @property
    def hand_out_seconds(self) -> float:
        """Seconds from the announcement of the image in the container to a checked copy in the output."""
        notes = [event for event in self.events if event["kind"] == "note" and " fetched in " in event["text"]]
        return max(float(event["data"]["seconds"]) for event in notes)

    @property
    def waiting_seconds(self) -> float:
        """Seconds from the end of the build in the container to the files in the output."""
        ends = [event for event in self.events if event["kind"] == "end" and event["text"].startswith("fetch ")]
        return float(ends[-1]["data"]["seconds"])


class User:
    """Somebody with boards, a state directory, an output and a volume."""

    def __init__(self, directory: Path, volume: str) -> None:
        self.directory, self._volume = directory, volume
        self.boards = directory / "boards"
        shutil.copytree(ROOT / "boards", self.boards)

    def build(self, board: str, *options: str, start: Sequence[str] = ("-m", "builder")) -> Taken:
        """Build a board by a command of its own; leave with its last lines when it fails."""
        places = ("--boards", self.boards, "--state", self.directory / "state", "--output", self.directory / "dist")
        argv: list[str | Path] = [sys.executable, *start, "build", board, "--json", "--engine", "docker", *places]
        argv += ["--version", "1.0", "--epoch", "1780000000", *options]
        env = {**os.environ, "BOARDWRIGHT_VOLUME": self._volume}
        begun = time.monotonic()
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begun
        if done.returncode:
            sys.exit(f"build {board} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        print(f"{seconds:8.1f} s  build {board} {' '.join(options)}", file=sys.stderr, flush=True)
        return Taken(seconds, [json.loads(line) for line in done.stdout.splitlines()])

    def change(self, number: int) -> None:
        """Change an overlay file of the first board."""
        file = self.boards / FIRST / "files/etc/changed"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n", encoding="utf-8")

    def forget(self) -> None:
        """Remove what was built; packages and programs that were downloaded stay."""
        script = f"cd {STATE} && rm -rf cache/layers rooms"
        with open_engine() as api:
            argv = ["docker", "run", "--rm", "--volume", f"{self._volume}:{STATE}", make_builder_image(api)]
        subprocess.run([*argv, "sh", "-ec", script], check=True)
        shutil.rmtree(self.directory / "dist")


@contextmanager
def opened_user(directory: Path) -> Iterator[User]:
    """Yield a user of an empty volume; the volume and the files are removed at the end."""
    volume = f"boardwright-loop-{os.getpid()}"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="boardwright-loop-", dir=directory) as work:
            yield User(Path(work), volume)
    finally:
        with open_engine() as api, suppress(NotFound):  # Nothing was built.
            api.remove_volume(volume, force=True)


def measure(user: User) -> Iterator[tuple[str, str, str]]:
    """Yield the rows: work, figure, goal."""
    user.build(FIRST, "--no-verify")
    user.build(SECOND, "--no-verify")
    user.forget()
    first = user.build(FIRST)
    second = user.build(SECOND)
    again = [user.build(FIRST) for _ in range(RUNS)]
    images, packed = [], []
    for number in range(RUNS):
        user.change(number)
        images.append(user.build(FIRST, "--compress", "none"))
    user.change(RUNS)
    through_engine = user.build(FIRST, "--compress", "none", start=("-c", WITHOUT_STORAGE))
    image = next((user.directory / "dist").glob("*.img")).stat()
    size = f"{image.st_size / 2**30:.1f} GiB, {image.st_blocks * 512 / 1e9:.1f} GB of data"
    for number in range(RUNS):
        user.change(RUNS + 1 + number)
        packed.append(user.build(FIRST))
    yield "first image of `rpi`, packages downloaded", f"{first.seconds:.0f} s", ""
    yield "one overlay file changed → `.img`", f"{median(taken.seconds for taken in images):.1f} s", "≤ 20 s"
    yield "… without the Engine's storage", f"{through_engine.seconds:.1f} s", ""
    yield "one overlay file changed → `.img.zst`", f"{median(taken.seconds for taken in packed):.1f} s", "≤ 30 s"
    hand_out = median(taken.hand_out_seconds for taken in images)
    waiting = median(taken.waiting_seconds for taken in images)
    yield f"handing out {size}, while the specs run", f"{hand_out:.1f} s", "≤ 5 s"
    yield "… what is left of it after the specs", f"{waiting:.1f} s", ""
    yield "… through the Engine", f"{through_engine.hand_out_seconds:.1f} s", ""
    yield "… what is left of that", f"{through_engine.waiting_seconds:.1f} s", ""
    yield "nothing changed: `build rpi` again", f"{median(taken.seconds for taken in again):.1f} s", "≤ 2 s"
    yield f"second board of the architecture (`{SECOND}`) ÷ first", f"{second.seconds / first.seconds:.2f}", "≤ 0.4"


def median(values: Iterator[float]) -> float:
    """Return the median of seconds."""
    return statistics.median(list(values))


def main() -> None:
    """Run everything and print the table."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("/var/tmp")
    with opened_user(directory) as user:
        print("| Work | Measured | Target |\n|---|---|---|", flush=True)
        for row in measure(user):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
