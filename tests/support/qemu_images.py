# SPDX-License-Identifier: MIT
"""Images small enough for every test: a real table and a real FAT with the files a firmware reads, no system."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.units import MIB
from tests.conftest import ROOT

FILES = {
    "config.txt": "arm_64bit=1\nkernel=old\nkernel=vmlinuz-6.12\ninitramfs initrd.img-6.12\n",
    "cmdline.txt": " console=tty0 console=ttyS1,115200 root=PARTUUID=1-02 \n",
    "vmlinuz-6.12": "the kernel",
    "initrd.img-6.12": "the initrd",
    "bcm2837-rpi-3-b.dtb": "the tree",
    "user-data": "#cloud-config\n# of the image\n",
}


def plan_of(board: str) -> Plan:
    """Return the plan of one of the repository's boards."""
    return make_plan(load_board(ROOT / "boards", board), version="1.0", epoch=1)


def without_qemu(plan: Plan) -> Plan:
    """Return the plan of a board that only exists as hardware."""
    return replace(plan, recipe=plan.recipe.model_copy(update={"qemu": None}))


def make_fat_image(path: Path, plan: Plan, files: Mapping[str, str] = FILES) -> Path:
    """Make a disk of 100 MiB whose first slot is a FAT with files."""
    with path.open("wb") as stream:
        stream.truncate(100 * MIB)
    drive = f"{path}@@{plan.disk.slots[0].start_sector * 512}"
    subprocess.run(["mformat", "-i", drive, "-F", "-T", "140000", "-h", "255", "-s", "63", "::"], check=True)
    for name, text in files.items():
        subprocess.run(["mcopy", "-i", drive, "-", f"::{name}"], input=text.encode(), check=True)
    return path


def read_fat(image: Path, plan: Plan, name: str) -> str:
    """Return a file of the FAT."""
    drive = f"{image}@@{plan.disk.slots[0].start_sector * 512}"
    return subprocess.run(["mtype", "-i", drive, f"::{name}"], check=True, capture_output=True, text=True).stdout
