# SPDX-License-Identifier: MIT
"""Hostile text in every place of a recipe that holds text: refused with its position, or taken as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from builder.errors import RecipeError
from builder.plan.make import make_plan
from builder.plan.render import render_json
from builder.recipe.load import Board, load_board
from builder.recipe.model import Recipe
from tests.support.hostile import HOSTILE, TEXT, Steps, change, read
from tests.support.recipes import GOOD

MORE = r"""
extends: null
features: [wifi]
imager: [pi4-64bit]
docker: {source: docker, version: "5:28.5.1-1~debian.13~trixie"}
users: {pirate: {groups: [video], shell: /bin/sh, gecos: A Pirate}}
units: {ssh.service: enabled}
expect:
  setid: {/usr/bin/x: why}
  links: {/etc/x: why}
  shells: {anne: why}
  held: {nano: why}
  swap: {/swapfile: why}
  listening: {tcp/80: why}
blobs: {spl: {rootfs: usr/lib/u-boot/x.bin, licence: GPL, offset: 8KiB, size: 16KiB}}
qemu: {machine: virt, cpu: max, firmware: kernel, device_tree: x.dtb, cmdline: quiet, console: ttyAMA0, memory: 2GiB}
"""
SAFE = YAML(typ="safe")
RECIPE: dict[str, Any] = SAFE.load(GOOD) | SAFE.load(MORE)
RECIPE["boot"]["config"] = {"memory": "gpu_mem=16"}
RECIPE["archives"]["debian"] |= {"components": ["main"], "pin": 500}
RECIPE["table"]["partitions"][0] |= {"start": "4MiB", "options": "defaults"}
del RECIPE["extends"]


def find_texts(value: Any, path: Steps = ()) -> Iterator[tuple[Steps, bool]]:
    """Yield the path of each text of a recipe, and whether it is the key at the end of it."""
    if isinstance(value, dict):
        for key, part in value.items():
            if path and path[-1] in OPEN:
                yield (*path, key), True
            yield from find_texts(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from find_texts(part, (*path, index))
    elif isinstance(value, str):
        yield path, False


OPEN = (
    "archives",
    "packages",
    "users",
    "units",
    "blobs",
    "cmdline",
    "config",
    "setid",
    "links",
    "shells",
    "held",
    "swap",
)
"""Mappings whose keys are a person's."""
PLACES = list(find_texts(RECIPE))


def test_the_recipe_has_every_text_and_is_good(tmp_path: Path) -> None:
    board = load_board(write(tmp_path, RECIPE), "x")
    assert json.loads(render_json(make_plan(board, version="1", epoch=1)))["recipe"]["title"] == "A good board"
    names = {path[0] for path, _ in PLACES}
    assert set(Recipe.model_fields) - names == {"extends", "customise"}


def write(directory: Path, recipe: Any) -> Path:
    (directory / "boards/x").mkdir(parents=True, exist_ok=True)
    (directory / "boards/x/board.yaml").write_text(json.dumps(recipe, indent=1), encoding="utf-8")
    return directory / "boards"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place[0])))
def test_hostile_text_in_each_place(place: tuple[Steps, bool], tmp_path: Path) -> None:
    first = PLACES.index(place)
    for text in HOSTILE[first % 12 :: 12]:
        check(place, text, tmp_path)


@given(place=st.sampled_from(PLACES), text=TEXT)
@example(place=PLACES[0], text="")
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_in_any_place(place: tuple[Steps, bool], text: str, tmp_path: Path) -> None:
    check(place, text, tmp_path)


def check(place: tuple[Steps, bool], text: str, directory: Path) -> None:
    """Assert that it is refused at a position, in words, or that it is in the plan as it was written."""
    path, is_key = place
    boards = write(directory, change(RECIPE, path, text, is_key=is_key))
    board, refusal = load(boards)
    if not board:
        assert re.match(rf"{re.escape(str(boards))}/x/board\.yaml:[0-9]+:[0-9]+: ", refusal), refusal
        assert "should match" not in refusal, refusal
        assert len(refusal) < 1000, path
        return
    plan = json.loads(render_json(make_plan(board, version="1", epoch=1)))
    found = read(plan["recipe"], (*path[:-1], text) if is_key else path)
    assert is_key or found == text
    assert "\n" not in text or path[0] in ("boot", "qemu"), path


def load(boards: Path) -> tuple[Board | None, str]:
    """Return the board x, or the messages about it."""
    try:
        return load_board(boards, "x"), ""
    except RecipeError as error:
        return None, error.message
