# SPDX-License-Identifier: MIT
"""Boards for tests of the rootfs, and their plans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.system.process import run
from tests.support.recipes import write_board

EPOCH = 1_700_000_000
TINY = """\
title: A tiny board
architecture: {architecture}
suite: trixie
archives:
  debian:
    url: {url}
    suites: [trixie]
    key: {{file: {key}}}
kernel: {{packages: [tiny-kernel]}}
docker: {{source: none}}
hostname: tiny
locale: C.UTF-8
timezone: Etc/UTC
table:
  type: mbr
  partitions:
    - {{name: boot, filesystem: fat32, size: 64MiB, mount: /boot/firmware, label: BOOT, flags: [boot]}}
    - {{name: root, filesystem: ext4, size: auto, mount: /, label: root}}
boot:
  method: extlinux
  cmdline: {{console: console=ttyS0}}
"""

PlanReal = Callable[..., Plan]


def plan_board(boards: Path, name: str) -> Plan:
    """Plan a board of a test."""
    return make_plan(load_board(boards, name), version="1.0", epoch=EPOCH)


def write_tiny(boards: Path, *, url: str, key: str, extra: str = "") -> Path:
    """Write the board `tiny`, which takes its system from one archive, and a child `board` with what is extra."""
    architecture = run(["dpkg", "--print-architecture"]).stdout.strip()
    write_board(boards, "tiny", TINY.format(architecture=architecture, url=url, key=key))
    return write_board(boards, "board", f"extends: tiny\n{extra}")
