# SPDX-License-Identifier: MIT
"""Each way into an image that is planted in a good one is found, named with its path, and allowed by its line alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk.entry import Entry, Piece
from builder.disk.filetree import FileTree
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.expect import Expected
from builder.recipe.load import load_board
from builder.verify.facts.image import ImageFacts
from tests.chain.conftest import EPOCH, VERSION
from tests.conftest import ROOT
from tests.support.ways_in import WAYS
from tests.support.ways_in.honest import HONEST
from tests.support.ways_in.texts import AUTOLOGIN, UNIT
from tests.support.ways_in.words import OTHER_WORDS, WORDS

CMDLINE = "/boot/firmware/cmdline.txt"

pytestmark = [pytest.mark.engine, pytest.mark.machine, pytest.mark.slow]


@pytest.fixture(scope="module")
def plan(user_data: Path) -> Plan:
    board = load_board(ROOT / "boards", "rpi")
    return make_plan(board, version=VERSION, epoch=int(EPOCH), user_data=user_data)


@pytest.fixture(scope="module")
def good(rpi_disk: Path, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> FileTree:
    return ImageFacts(rpi_disk, plan, tmp_path_factory.mktemp("scratch")).tree


def plant(good: FileTree, things: Mapping[str, str], scratch: Path) -> FileTree:
    """Return a tree with more files and links (`-> TARGET`), or others in their places: the content by path."""
    planted = [
        _make_entry(path, content, scratch / str(number)) for number, (path, content) in enumerate(things.items())
    ]
    return FileTree([*(entry for entry in good.entries.values() if entry.path not in things), *planted], good.mounts)


def _make_entry(path: str, content: str, file: Path) -> Entry:
    if content.startswith("-> "):
        return Entry(path, "symlink", 0o777, 0, 0, 0, 0, target=content.removeprefix("-> "))
    file.write_text(content)
    size = file.stat().st_size
    return Entry(path, "file", 0o644, 0, 0, size, 0, pieces=(Piece(0, size, file, 0),))


def make_rounds(things: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return (path, content) in as few groups as possible, with a path once in each: to look at an image takes long."""
    rounds: list[dict[str, str]] = []
    for path, content in things:
        free = next((each for each in rounds if path not in each), None)
        if free is None:
            rounds.append(free := {})
        free[path] = content
    return rounds


def allow(plan: Plan, *names: str) -> Plan:
    return replace(
        plan, expected=(*plan.expected, *(Expected("access", name, "a test", "board.yaml:1") for name in names))
    )


def find(plan: Plan, tree: FileTree, disk: Path, scratch: Path) -> list[str]:
    image = ImageFacts(disk, plan, scratch)
    image.__dict__["_tree"] = tree
    return image.rights.find_unasked("access")


ROUNDS = make_rounds(WAYS.values())


def _show(path: str) -> str:
    return path if path.isprintable() else json.dumps(path)


@pytest.mark.parametrize("number", range(len(ROUNDS)))
def test_a_way_in_is_found(number: int, good: FileTree, plan: Plan, rpi_disk: Path, tmp_path: Path) -> None:
    things = ROUNDS[number]
    planted = plant(good, things, tmp_path)
    rows = find(plan, planted, rpi_disk, tmp_path)
    assert [row.partition(" (")[0] for row in rows] == [_show(path) for path in sorted(things)]
    for path, row in zip(sorted(things), rows, strict=True):
        assert f"expect: {{access: {{{json.dumps(path)}: WHY}}}}" in row
        assert ("--user-data FILE" in row) is (path == "/boot/firmware/user-data")
    assert find(allow(plan, *things), planted, rpi_disk, tmp_path) == []
    assert find(allow(plan, *(f"{path}x" for path in things)), planted, rpi_disk, tmp_path) == rows


def test_a_unit_that_is_a_link_out_of_the_places_of_units_is_found(
    good: FileTree, plan: Plan, rpi_disk: Path, tmp_path: Path
) -> None:
    things = {"/srv/x.service": AUTOLOGIN, f"{UNIT}/x.service": "-> ../../../srv/x.service"}
    (row,) = find(plan, plant(good, things, tmp_path), rpi_disk, tmp_path)
    assert row.startswith(f"{UNIT}/x.service (-> ../../../srv/x.service)")


@pytest.mark.parametrize("end", ["", " -- quiet"])
def test_a_word_for_the_kernel_that_no_recipe_has_is_found(
    end: str, good: FileTree, plan: Plan, rpi_disk: Path, tmp_path: Path
) -> None:
    words = [word for word in (*WORDS, *OTHER_WORDS) if word != "--"]
    cmdline = f"{good.file(CMDLINE).content_string.strip()} {' '.join(words)}{end}\n"
    planted = plant(good, {CMDLINE: cmdline}, tmp_path)
    rows = find(plan, planted, rpi_disk, tmp_path)
    found = {row.partition(" (of the kernel's command line)")[0] for row in rows}
    assert found == {*words, *end.split()}
    assert find(allow(plan, *found), planted, rpi_disk, tmp_path) == []


def test_a_good_image_has_none(good: FileTree, plan: Plan, rpi_disk: Path, tmp_path: Path) -> None:
    assert find(plan, good, rpi_disk, tmp_path) == []


INNOCENT = make_rounds(
    [
        ("/etc/systemd/system/harbour.service", "[Service]\nExecStart=/usr/local/bin/harbour --serve\n"),
        (
            "/etc/systemd/system/docker.service.d/x.conf",
            "[Service]\nEnvironment=HTTP_PROXY=http://proxy.example.org\n",
        ),
        *HONEST,
        ("/boot/firmware/user-data", "#cloud-config\nhostname: mine\n# password: hypriot\npackages: [passwd]\n"),
        ("/etc/motd", "password: none\n"),
        ("/etc/tmpfiles.d/harbour.conf", "d /var/lib/harbour 755 harbour harbour\n"),
        ("/etc/sysusers.d/harbour.conf", "u harbour - harbour /var/lib/harbour\n"),
        ("/etc/systemd/system/harbour.service", "-> /srv/harbour.service"),
        ("/etc/systemd/system/multi-user.target.wants/harbour.service", "-> ../harbour.service"),
        ("/etc/systemd/system/default.target", "-> /usr/lib/systemd/system/multi-user.target"),
    ]
)


@pytest.mark.parametrize("number", range(len(INNOCENT)))
def test_what_lets_nobody_in_needs_no_line(
    number: int, good: FileTree, plan: Plan, rpi_disk: Path, tmp_path: Path
) -> None:
    assert find(plan, plant(good, INNOCENT[number], tmp_path), rpi_disk, tmp_path) == []
