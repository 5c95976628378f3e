# SPDX-License-Identifier: MIT
"""How long the offline level takes on an image that is open: python benchmarks/specs.py IMAGE [RUNS]

IMAGE is a raw disk. The first run reads it from the disk, the others from the page cache. HypriotOS needed nine
seconds for one example.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from builder.disk.image_file import digest_disk
from builder.verify.runner import run_specs
from builder.verify.task import Task
from builder.verify.verify import read_claim

BOARDS = Path(__file__).resolve().parents[1] / "boards"


def main() -> None:
    image, runs = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    claim, digest = read_claim(image), digest_disk(image)
    for number in range(1, runs + 1):
        with tempfile.TemporaryDirectory() as scratch:
            report = run_specs(
                Task(
                    claim.board,
                    claim.version,
                    claim.epoch,
                    str(BOARDS),
                    image=str(image),
                    name=image.name,
                    digest=digest,
                    scratch=scratch,
                )
            )
        slowest = sorted(report.verdicts, key=lambda verdict: -verdict.seconds)[:3]
        print(f"run {number}: {report.summary}")
        for verdict in slowest:
            print(f"    {verdict.seconds:5.2f} s  {verdict.sentence}")


if __name__ == "__main__":
    main()
