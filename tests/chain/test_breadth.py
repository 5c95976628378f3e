# SPDX-License-Identifier: MIT
"""What people put onto their boards builds, and all specs are green: lists of packages of the field, joined.

Each run makes one of the boards, another at each commit; the whole run makes all.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.chain.conftest import Build
from tests.conftest import ROOT
from tests.support.selection import by_commit

pytestmark = [pytest.mark.boards, pytest.mark.engine, pytest.mark.machine, pytest.mark.slow]

FIELD = YAML(typ="safe").load(ROOT / "tests/breadth/field.yaml")
PARENT = "qemu-amd64"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """boards/, and those of the field."""
    directory = tmp_path_factory.mktemp("field") / "boards"
    shutil.copytree(ROOT / "boards", directory)
    for name, lists in FIELD["boards"].items():
        packages = {each: [word for row in FIELD["lists"][each] for word in row] for each in lists}
        recipe = {"extends": PARENT, "title": f"Of the field: {', '.join(lists)}", "packages": packages}
        recipe |= {"units": FIELD["units"][name]} if name in FIELD["units"] else {}
        (directory / name).mkdir()
        YAML(typ="safe").dump(recipe, directory / name / "board.yaml")
    yield directory
    shutil.rmtree(directory.parent)


def test_each_list_is_on_a_board() -> None:
    assert len(FIELD["lists"]) >= 20
    assert len(FIELD["boards"]) <= 6
    assert sorted(each for lists in FIELD["boards"].values() for each in lists) == sorted(FIELD["lists"])


@pytest.mark.parametrize("board", by_commit(FIELD["boards"]))
def test_what_people_install_is_green(board: str, boards: Path, build: Build) -> None:
    built = build(board, "--boards", boards, "--compress", "none")
    built.file(".img").unlink()
