# SPDX-License-Identifier: MIT
"""Render the first files of a new board: a valid recipe, with common keys as comments."""

from __future__ import annotations

from ruamel.yaml import YAML

_BOARD = """\
# yaml-language-server: $schema=../schema.json
# Recipe of {name}. Keys that are not here come from ../{parent}/board.yaml. Mappings are merged key by key; anything
# else (lists, texts) is replaced; null removes a key.
extends: {extends}
title: {title}

# hostname: {name}
# timezone: Europe/Berlin
# features: [ethernet, wifi]

# packages:                 # your own group is added to the parent's groups
#   mine: [tmux, vim]

# kernel:
#   packages: [linux-image-arm64]
#   debs:                   # or your own files
#     - file: debs/linux-image-custom.deb

# units:
#   bluetooth.service: masked

# boot:
#   cmdline:
#     console: console=ttyS0,115200
#   config:                 # lines of config.txt, boot method raspi only
#     camera: |
#       dtoverlay=imx219

# table:                    # partitions are a list: to change one, write all
#   partitions: []
"""

_README = """\
# {title}

This board extends `{parent}`. The differences are in `board.yaml`; files below `files/` are laid over the root
filesystem.

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
    """Return a name with quotes if YAML needs them: "1e3" and "null" are valid board names."""
    return name if YAML(typ="safe", pure=True).load(name) == name else f'"{name}"'


def _title(name: str) -> str:
    return "Board " + name.replace("-", " ")
