# SPDX-License-Identifier: MIT
"""What a rootfs was made from, and how a difference is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.rootfs.foresee import foresee
from builder.rootfs.kept import write_kept
from builder.rootfs.model import Rootfs
from builder.rootfs.origin import Origin, find_changed_input, find_changed_packages, find_plan_inputs
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ({"a": "1 x", "b": "1 y"}, ""),
        ({"a": "0 x", "b": "1 y"}, "a 0 → 1"),
        ({"a": "0 x", "b": "0 y"}, "a 0 → 1, and 1 more"),
        ({"a": "1 other", "b": "1 y"}, "a 1 is another file"),
        ({"b": "1 y"}, "a none → 1"),
        ({"a": "1 x", "b": "1 y", "c": "2 z"}, "c 2 → none"),
    ],
)
def test_news_of_the_archives(old: dict[str, str], words: str) -> None:
    assert find_changed_packages(old, {"a": "1 x", "b": "1 y"}) == words


@pytest.mark.parametrize(
    ("old", "name"), [({"a": "1", "b": "1"}, ""), ({"a": "1"}, "b"), ({}, "a"), ({"a": "1", "b": "2"}, "b")]
)
def test_the_first_input_that_changed(old: dict[str, str], name: str) -> None:
    assert find_changed_input(old, {"a": "1", "b": "1"}) == name


def _plan(version: str = "1.0") -> Plan:
    return make_plan(load_board(ROOT / "boards", "rpi"), version=version, epoch=1)


def test_inputs_have_names_and_digests(plan: Plan) -> None:
    inputs = find_plan_inputs(plan)
    assert {"builder", "program", "packages", "overlays", "recipe.hostname", "recipe.suite"} <= set(inputs)
    assert all(len(value) == 16 for value in inputs.values())
    assert find_changed_input(find_plan_inputs(_plan()), find_plan_inputs(_plan("2.0"))) == "version"


def test_what_a_plan_can_foresee(tmp_path: Path) -> None:
    kept = tmp_path / "rooms/rpi/rootfs"
    kept.mkdir(parents=True)
    assert foresee(tmp_path, _plan()) == ""
    write_kept(kept, Rootfs({}, ()), None)
    assert foresee(tmp_path, _plan()) == "made anew: the last build's origin is not known"
    write_kept(kept, Rootfs({}, ()), Origin(find_plan_inputs(_plan()), {}))
    assert foresee(tmp_path, _plan()) == "that of the last build, if no archive has news"
    assert foresee(tmp_path, _plan("2.0")) == "made anew: version has changed"
