# SPDX-License-Identifier: MIT
"""Hostile text in every place of what the rootfs stage has written down: no record, or the text as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.recipe.values import FrozenModel
from builder.rootfs.apt.resolve import Resolved
from builder.rootfs.apt.supply import Archived, Supply
from builder.rootfs.inputs import Inputs
from builder.rootfs.model import InstalledPackage
from builder.rootfs.records import load_answer, load_tree_record, load_twins
from builder.rootfs.stored_tree import RECORD, find_stored_tree, write_stored_tree
from tests.support.hostile import TEXT, WRONG, Documents, Place, read

DIGEST = "ab" * 32
ARCHIVED = Archived("tool", "1:2.0~rc1+b1", "arm64", "tool_1%3a2.0~rc1+b1_arm64.deb", 5, DIGEST)
SUPPLY = Supply({"tool": "backports"}, ("tool",))
TREE = {
    "is_whole": False,
    "below": ["base-trixie-arm64-0a1b"],
    "mounts": ["/boot/firmware"],
    "packages": [["tool", "1:2.0~rc1+b1", "arm64", 5]],
    "origins": {"system": {"inputs": {"recipe.boot": "0a", "tool apt": ""}, "packages": {"tool": f"1:2.0 {DIGEST}"}}},
    "digest": DIGEST,
    "supply": asdict(SUPPLY),
}
ANSWER = {"releases": [DIGEST], "pins": "Package: *\nPin: x\n", **asdict(Resolved((ARCHIVED,), (ARCHIVED,), SUPPLY))}
TWINS = {"sources": DIGEST, "releases": [DIGEST], "tree": "trixie-amd64-for-arm64-0a1b"}
READERS: dict[str, tuple[Any, Callable[[bytes], FrozenModel | None]]] = {
    "tree": (TREE, load_tree_record),
    "answer": (json.loads(json.dumps(ANSWER)), load_answer),
    "twins": (TWINS, load_twins),
}


def load(name: str, content: bytes) -> FrozenModel | None:
    return READERS[name][1](content)


def check(place: Place, text: str, found: Any) -> None:
    _, path, is_key = place
    if not is_key:
        assert read(found.model_dump(mode="json"), path) == text
        assert path[0] == "pins" or "\n" not in text
        assert not {"below", "mounts", "tree", "file"} & set(path) or ".." not in Path(text).parts


RECORDS = Documents({name: document for name, (document, _) in READERS.items()}, load, check)


@pytest.mark.parametrize("name", READERS)
def test_the_records_are_good(name: str) -> None:
    document, load = READERS[name]
    assert load(json.dumps(document).encode())


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = load_answer(json.dumps(ANSWER).encode())
    assert record
    assert record.resolved == Resolved((ARCHIVED,), (ARCHIVED,), SUPPLY)
    origins = {"base": Inputs({"suite": "0a"}, {"tool": f"1.0 {DIGEST}"})}
    packages = (InstalledPackage("tool", "1.0", "all", 1),)
    write_stored_tree(tmp_path, is_whole=True, below=(), packages=packages, origins=origins, supply=SUPPLY)
    kept = find_stored_tree(tmp_path)
    assert kept
    assert (kept.packages, kept.origins, kept.supply) == (packages, origins, SUPPLY)


@pytest.mark.parametrize("name", READERS)
def test_hostile_text_in_each_place(name: str) -> None:
    RECORDS.put_texts(name)


@given(place=st.sampled_from(RECORDS.find_places()), text=TEXT)
@settings(max_examples=100, deadline=None)
def test_any_text_in_any_place(place: Place, text: str) -> None:
    RECORDS.put_text(place, text)


@pytest.mark.parametrize("name", READERS)
def test_what_is_of_a_wrong_kind_is_none(name: str) -> None:
    RECORDS.put_wrong(name)
    for wrong in WRONG:
        assert load(name, wrong) is None


@pytest.mark.parametrize("below", ["../x", "/etc", ".", ".hidden", "a/b", ""])
def test_a_layer_that_is_elsewhere_is_none(tmp_path: Path, below: str) -> None:
    (tmp_path / RECORD).write_text(json.dumps(TREE | {"below": [below]}))
    assert find_stored_tree(tmp_path) is None
