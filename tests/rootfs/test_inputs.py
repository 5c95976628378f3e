# SPDX-License-Identifier: MIT
"""What a rootfs was made from, and how a difference is named."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from builder.artefact.reuse import find_artefact_inputs, write_made
from builder.cache_preview import HIT, preview_cache
from builder.choices import EmulationChoice
from builder.compression import Compression
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.rootfs.apt.resolve import Resolved
from builder.rootfs.apt.supply import Archived
from builder.rootfs.inputs import (
    StageInputs,
    find_change,
    find_changed_input,
    find_changed_packages,
    find_inputs,
    find_plan_inputs,
)
from builder.rootfs.stored_tree import write_stored_tree
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


def _plan(version: str = "1.0", board: str = "rpi") -> Plan:
    return make_plan(load_board(ROOT / "boards", board), version=version, epoch=1)


def test_inputs_have_names_and_digests(plan: Plan) -> None:
    steps = find_plan_inputs(plan)
    assert list(steps) == ["base", "packages", "system"]
    assert {"builder", "program", "packages", "suite"} <= set(steps["base"])
    assert {"program", "packages", "debs", "filesystems"} <= set(steps["packages"])
    assert {"program", "overlays", "recipe.hostname", "version"} <= set(steps["system"])
    assert all(len(value) == 16 for inputs in steps.values() for value in inputs.values())


def _origins(version: str = "1.0", *, deb: str = "1", board: str = "rpi") -> StageInputs:
    archived = Archived("tool", deb, "arm64", "tool.deb", 1, sha256(deb.encode()).hexdigest())
    return find_inputs(_plan(version, board), Resolved((archived,), (archived,)), emulation=EmulationChoice.AUTO)


def test_a_version_changes_the_system_alone() -> None:
    old, new = _origins(), _origins("2.0")
    assert {step for step in new if old[step].key != new[step].key} == {"system"}
    assert find_change(old, new) == "version has changed"


def test_a_package_of_the_base_changes_all_that_lies_on_it() -> None:
    old, new = _origins(), _origins(deb="2")
    assert {step for step in new if old[step].key != new[step].key} == {"base", "packages", "system"}
    assert find_change(old, new) == "tool 1 → 2"


def test_boards_of_a_family_share_the_base() -> None:
    """The archives are others, and so are the disk, the kernel and the firmware."""
    keys = {board: _origins(board=board)["base"].key for board in ("rpi", "rpi5", "qemu-arm64", "qemu-amd64")}
    assert keys["rpi"] == keys["rpi5"] == keys["qemu-arm64"] != keys["qemu-amd64"]


def test_without_a_base_the_packages_lie_on_nothing() -> None:
    origins = find_inputs(_plan(), Resolved((), ()), emulation=EmulationChoice.AUTO)
    assert list(origins) == ["packages", "system"]
    assert origins["packages"].inputs["layer below"] == ""


def test_nothing_changes_by_itself() -> None:
    assert find_change(_origins(), _origins()) == ""


STEPS = ("base", "packages", "system", "image", "package")


def _record(directory: Path, *, origins: StageInputs) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write_stored_tree(directory, is_whole=True, below=(), packages=(), origins=origins)


def test_what_a_plan_can_foresee(tmp_path: Path) -> None:
    room = tmp_path / "rooms/rpi"
    assert preview_cache(tmp_path, _plan()) == {}
    _record(room / "rootfs", origins={})
    assert set(preview_cache(tmp_path, _plan()).values()) == {"miss: the inputs of the last build are not known"}
    _record(room / "rootfs", origins=_origins())
    gone = "miss: the record of the last build has changed"
    assert preview_cache(tmp_path, _plan()) == dict(zip(STEPS, [HIT, HIT, HIT, gone, gone], strict=True))
    write_made(room / "artefacts.json", find_artefact_inputs(_plan(), Compression.ZST, verified=True), ())
    assert preview_cache(tmp_path, _plan()) == dict.fromkeys(STEPS, HIT)
    miss = "miss: version has changed"
    assert preview_cache(tmp_path, _plan("2.0")) == dict(zip(STEPS, [HIT, HIT, miss, miss, miss], strict=True))


def test_another_program_or_blob_changes_the_image_alone(tmp_path: Path) -> None:
    room = tmp_path / "rooms/rpi"
    _record(room / "rootfs", origins=_origins())
    inputs = find_artefact_inputs(_plan(), Compression.ZST, verified=True)
    for change, words in (({"program": "x"}, "program"), ({"step image": "x"}, "the image")):
        write_made(room / "artefacts.json", {**inputs, **change}, ())
        miss = f"miss: {words} has changed"
        assert preview_cache(tmp_path, _plan()) == dict(zip(STEPS, [HIT, HIT, HIT, miss, miss], strict=True))


def test_the_newest_record_counts_wherever_the_build_ran(tmp_path: Path) -> None:
    _record(tmp_path / "rooms/rpi/rootfs", origins=_origins("1.0"))
    _record(tmp_path / "records/rpi", origins=_origins("2.0"))
    os.utime(tmp_path / "rooms/rpi/rootfs/made.json", (1, 1))
    assert preview_cache(tmp_path, _plan("2.0"))["system"] == HIT
    os.utime(tmp_path / "records/rpi/made.json", (0, 0))
    assert preview_cache(tmp_path, _plan("2.0"))["system"] == "miss: version has changed"
