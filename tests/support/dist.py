# SPDX-License-Identifier: MIT
"""A small image with what a build leaves beside it, and its package."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from builder.artefact.build_record import make_record, render_record
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.system.checksums import sha256_file
from tests.conftest import ROOT
from tests.support.small_image import BOARD, EPOCH, PACKAGES, VERSION, make_small_image

NAME = f"boardwright-{BOARD}-{VERSION}"
DEBS = {"libc6": f"2.41-12 {'11' * 32}", "mawk": f"1.3.4.20250131-1+b1 {'22' * 32}", "base-files": f"13.8 {'33' * 32}"}


def make_report(digest: str, /, **changes: Any) -> dict[str, Any]:
    """Return what the specs say of an image, as data."""
    verdict = {"file": "disk_spec.py", "seconds": 0.1, "message": "", "details": ""}
    return {
        "format": 1,
        "passed": True,
        "board": BOARD,
        "version": VERSION,
        "image": f"{NAME}.img",
        "digest": digest,
        "levels": ["offline"],
        "seconds": 0.5,
        "only": "",
        "verdicts": [
            verdict | {"name": "test_the_disk_has_a_table", "outcome": "passed"},
            verdict | {"name": "test_a_slot_has_its_size[root]", "outcome": "passed"},
            verdict | {"name": "test_wifi", "outcome": "skipped", "message": "no <wifi>"},
        ],
    } | changes


JUNIT = (
    "<testsuites><testsuite><testcase name='a'/><testcase name='b'/>"
    "<testcase name='c'><skipped/></testcase></testsuite></testsuites>\n"
)


def fill_dist(work: Path, **sizes: int) -> Path:
    """Make the image of a build, compressed, and all files beside it; return the directory.

    sizes  those of make_small_image
    """
    dist = work / "dist"
    dist.mkdir()
    image = make_small_image(work, f"{NAME}.img", **sizes)
    digest = sha256_file(image)
    plan = make_plan(load_board(ROOT / "boards", BOARD), version=VERSION, epoch=EPOCH, user_data=None)
    (dist / f"{NAME}.build.json").write_text(render_record(make_record(plan, digest, DEBS)))
    (dist / f"{NAME}.packages").write_text(PACKAGES)
    (dist / f"{NAME}.specs.json").write_text(json.dumps(make_report(digest)))
    (dist / f"{NAME}.specs.xml").write_text(JUNIT)
    subprocess.run(["zstd", "-q", image, "-o", dist / f"{NAME}.img.zst"], check=True)
    image.rename(work / "raw.img")
    return dist
