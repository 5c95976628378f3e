# SPDX-License-Identifier: MIT
"""Small boards for tests, made where a test wants them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

GOOD = """\
title: A good board
architecture: arm64
suite: trixie
archives:
  debian:
    url: http://deb.debian.org/debian
    suites: [trixie, trixie-backports]
    key: {file: /usr/share/keyrings/debian-archive-keyring.gpg}
packages:
  base: [systemd-sysv, sudo]
kernel:
  packages: [linux-image-arm64]
hostname: good
locale: C.UTF-8
timezone: Etc/UTC
table:
  type: mbr
  partitions:
    - {name: boot, filesystem: fat32, size: 64MiB, mount: /boot/firmware, label: BOOT, flags: [boot]}
    - {name: root, filesystem: ext4, size: auto, mount: /, label: root}
boot:
  method: raspi
  cmdline:
    console: console=tty0 console=ttyS1,115200
    root: rw rootwait
"""
"""A complete recipe: MBR, FAT, ext4."""


def write_board(boards: Path, name: str, text: str) -> Path:
    """Write boards/<name>/board.yaml and return the board's directory."""
    directory = boards / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "board.yaml").write_text(dedent(text), encoding="utf-8")
    return directory
