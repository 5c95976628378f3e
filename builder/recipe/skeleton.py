# SPDX-License-Identifier: MIT
"""What a new board's files say at first: enough to plan at once, and the next things to change as comments."""

from __future__ import annotations

from ruamel.yaml import YAML

_BOARD = """\
# yaml-language-server: $schema=../schema.json
# What {name} is. Everything not said here is as in ../{parent}/board.yaml: mappings are merged key by key, anything
# else (lists, texts) is replaced, and null takes a key away.
extends: {extends}
title: {title}

# hostname: {name}
# timezone: Europe/Berlin
# features: [ethernet, wifi]

# packages:                 # a group of your own adds to the parent's groups
#   mine: [tmux, vim]

# kernel:
#   packages: [linux-image-arm64]
#   debs:                   # or files of your own
#     - file: debs/linux-image-custom.deb

# units:
#   bluetooth.service: masked

# boot:
#   cmdline:
#     console: console=ttyS0,115200
#   config:                 # lines of config.txt, boot method raspi only
#     camera: |
#       dtoverlay=imx219

# table:                    # partitions are a list: saying one means saying all
#   partitions: []
"""

_README = """\
# {title}

Made from `{parent}`. What differs is in `board.yaml`; files below `files/` are laid over the root file system.

    boardwright plan {name}
    boardwright build {name}
"""


def render_board(name: str, parent: str) -> str:
    """Return the board.yaml of a new board."""
    return _BOARD.format(name=_text(name), parent=parent, extends=_text(parent), title=_title(name))


def render_readme(name: str, parent: str) -> str:
    """Return the README.md of a new board."""
    return _README.format(name=name, parent=parent, title=_title(name))


def _text(name: str) -> str:
    """Return a name as YAML reads it as text: "1e3" and "null" are good names of boards, but need quotes."""
    return name if YAML(typ="safe", pure=True).load(name) == name else f'"{name}"'


def _title(name: str) -> str:
    return "Board " + name.replace("-", " ")
