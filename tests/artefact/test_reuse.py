# SPDX-License-Identifier: MIT
"""When the artefacts of the last build are the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.artefact.files import Artefact
from builder.artefact.reuse import find_artefact_inputs, find_made, write_made
from builder.compression import Compression
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.system.checksums import sha256_file
from tests.conftest import ROOT

INPUTS = {"step image": "0a", "rootfs": "0b"}


@pytest.fixture
def made(tmp_path: Path) -> tuple[Artefact, ...]:
    """Two artefacts in `dist`, and a record of them."""
    (tmp_path / "dist").mkdir()
    found = []
    for name in ("a.img", "a.packages"):
        path = tmp_path / "dist" / name
        path.write_text(name)
        found.append(Artefact(path, len(name), sha256_file(path)))
    write_made(tmp_path / "record", INPUTS, found)
    return tuple(found)


def find(tmp_path: Path, inputs: dict[str, str] = INPUTS, have: tuple[str, ...] = ()) -> tuple[Artefact, ...] | None:
    return find_made(tmp_path / "record", inputs, tmp_path / "dist", have)


def test_what_is_there_is_taken(tmp_path: Path, made: tuple[Artefact, ...]) -> None:
    assert find(tmp_path) == made


@pytest.mark.parametrize("inputs", [{**INPUTS, "step image": "0c"}, {**INPUTS, "rootfs": ""}, {**INPUTS, "more": "1"}])
def test_nothing_is_taken_that_came_from_something_else(
    tmp_path: Path, made: tuple[Artefact, ...], inputs: dict[str, str]
) -> None:
    assert find(tmp_path, inputs) is None


@pytest.mark.parametrize("change", ["", "b.img", "longer than before"])
def test_a_file_that_was_changed_or_removed_is_made_again(
    tmp_path: Path, made: tuple[Artefact, ...], change: str
) -> None:
    if change:
        made[0].path.write_text(change)
    else:
        made[0].path.unlink()
    assert find(tmp_path) is None


def test_what_the_caller_has_need_not_be_there(tmp_path: Path, made: tuple[Artefact, ...]) -> None:
    made[0].path.unlink()
    assert find(tmp_path, have=(made[0].sha256,)) == made
    made[1].path.unlink()
    assert find(tmp_path, have=(made[0].sha256,)) is None


def test_a_rootfs_of_unknown_origin_is_never_the_same(tmp_path: Path, made: tuple[Artefact, ...]) -> None:
    write_made(tmp_path / "record", {}, made)
    assert find(tmp_path, {**INPUTS, "rootfs": ""}) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"inputs": {}}', '{"inputs": {}, "files": [1]}'])
def test_a_record_that_is_cut_short_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "record").write_text(text)
    assert find(tmp_path) is None


def test_without_a_record_nothing_is_known(tmp_path: Path) -> None:
    assert find(tmp_path) is None


def test_all_that_decides_an_artefact_has_a_name() -> None:
    plan = make_plan(load_board(ROOT / "boards", "rpi"), version="1", epoch=1)
    inputs = find_artefact_inputs(plan, Compression.ZST, verified=True)
    assert {"step image", "step package", "compression", "verified", "program", "tool e2fsprogs"} <= set(inputs)
    assert inputs != find_artefact_inputs(plan, Compression.ZST, verified=False)
    assert inputs != find_artefact_inputs(plan, Compression.XZ, verified=True)
