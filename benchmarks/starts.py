# SPDX-License-Identifier: MIT
"""How long an image takes to answer by ssh in QEMU, and whether it always does:

    .venv/bin/python -m benchmarks.starts 10 IMAGE...

Each start has a copy of the image of its own, so each is the first. The seconds of each go to stderr, a table to
stdout. Of a start that fails, or whose kernel complains, the error and the whole console are kept in build/starts; the
exit code is 1 then.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from builder.errors import BoardwrightError
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.verify.live.kernel_log import find_trouble
from builder.verify.live.target import booted
from builder.verify.verify import read_claim

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build/starts"


def start(plan: Plan, image: Path, number: int) -> float | None:
    """Start an image once and return the seconds until it answered; None when it did not."""
    with tempfile.TemporaryDirectory(prefix="boardwright-starts-", dir="/var/tmp") as work:
        begun, seconds = time.monotonic(), 0.0
        try:
            with booted(plan, image, Path(work)) as running:
                seconds = time.monotonic() - begun
                assert running.machine
                trouble = "\n".join(find_trouble(running.machine.console.splitlines(), emulated=True))
        except BoardwrightError as error:
            trouble = error.message
        if not trouble:
            return seconds
        KEPT.mkdir(parents=True, exist_ok=True)
        kept = KEPT / f"{plan.board}-{number}"
        kept.with_suffix(".error").write_text(f"{trouble}\n", encoding="utf-8")
        for console in Path(work).rglob("console.log"):
            shutil.copyfile(console, kept.with_suffix(".console"))
        print(f"{plan.board} {number}: {trouble.splitlines()[0]}; see {kept}.console", file=sys.stderr)
        return None


def main() -> None:
    """Start every image as often as asked, in turn, and print the table."""
    times, images = int(sys.argv[1]), [Path(argument).resolve() for argument in sys.argv[2:]]
    claims = [read_claim(image) for image in images]
    boards = [load_board(ROOT / "boards", claim.board) for claim in claims]
    plans = [
        make_plan(board, version=claim.version, epoch=claim.epoch) for board, claim in zip(boards, claims, strict=True)
    ]
    seconds: list[list[float | None]] = [[] for _ in images]
    for number in range(times):
        for plan, image, took in zip(plans, images, seconds, strict=True):
            took.append(start(plan, image, number))
            print(f"{plan.board} {number}: {took[-1]}", file=sys.stderr, flush=True)
    print("| Board | Starts | Answered | Median | Longest |\n|---|---|---|---|---|")
    for plan, took in zip(plans, seconds, strict=True):
        good = [each for each in took if each is not None] or [0.0]
        answered = sum(each is not None for each in took)
        print(f"| `{plan.board}` | {times} | {answered} | {statistics.median(good):.0f} s | {max(good):.0f} s |")
    sys.exit(any(each is None for took in seconds for each in took))


if __name__ == "__main__":
    main()
