# SPDX-License-Identifier: MIT
"""Each way into an image that is planted in a good one is found, named with its path, and allowed by its line alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.expect import Expected
from builder.recipe.load import load_board
from builder.verify.entry import Entry, Piece
from builder.verify.subject import Subject
from builder.verify.tree import Tree
from tests.chain.conftest import EPOCH, VERSION
from tests.chain.ways_in import AUTOLOGIN, HONEST, OTHER_WORDS, UNIT, WAYS, WORDS
from tests.conftest import ROOT

CMDLINE = "/boot/firmware/cmdline.txt"

pytestmark = [pytest.mark.engine, pytest.mark.machine, pytest.mark.slow]


@pytest.fixture(scope="module")
def plan(user_data: Path) -> Plan:
    board = load_board(ROOT / "boards", "rpi")
    return make_plan(board, version=VERSION, epoch=int(EPOCH), user_data=user_data)


@pytest.fixture(scope="module")
def good(rpi_disk: Path, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Subject(rpi_disk, plan, tmp_path_factory.mktemp("scratch")).tree


def plant(good: Tree, path: str, content: str, scratch: Path) -> Tree:
    """Return a tree with one more file or link, or another in its place."""
    if content.startswith("-> "):
        planted = Entry(path, "symlink", 0o777, 0, 0, 0, 0, target=content.removeprefix("-> "))
    else:
        file = scratch / "planted"
        file.write_text(content)
        size = file.stat().st_size
        planted = Entry(path, "file", 0o644, 0, 0, size, 0, pieces=(Piece(0, size, file, 0),))
    return Tree([*(entry for entry in good.entries.values() if entry.path != path), planted], good.mounts)


def find(plan: Plan, tree: Tree, disk: Path, scratch: Path) -> list[str]:
    image = Subject(disk, plan, scratch)
    image.__dict__["_tree"] = tree
    return image.rights.find_unasked("access")


@pytest.mark.parametrize("way", WAYS)
def test_a_way_in_is_found(way: str, good: Tree, plan: Plan, rpi_disk: Path, tmp_path: Path) -> None:
    path, content = WAYS[way]
    planted = plant(good, path, content, tmp_path)
    (said,) = find(plan, planted, rpi_disk, tmp_path)
    assert said.startswith(f"{path} (")
    assert f'expect: {{access: {{"{path}": WHY}}}}' in said
    assert ("--user-data FILE" in said) is (path == "/boot/firmware/user-data")
    asked = replace(plan, expected=(*plan.expected, Expected("access", path, "a test", "board.yaml:1")))
    assert find(asked, planted, rpi_disk, tmp_path) == []
    other = replace(plan, expected=(*plan.expected, Expected("access", f"{path}x", "a test", "board.yaml:1")))
    assert find(other, planted, rpi_disk, tmp_path) == [said]


def test_a_unit_that_is_a_link_out_of_the_places_of_units_is_found(
    good: Tree, plan: Plan, rpi_disk: Path, tmp_path: Path
) -> None:
    planted = plant(good, "/srv/x.service", AUTOLOGIN, tmp_path)
    linked = plant(planted, f"{UNIT}/x.service", "-> ../../../srv/x.service", tmp_path)
    (said,) = find(plan, linked, rpi_disk, tmp_path)
    assert said.startswith(f"{UNIT}/x.service (-> ../../../srv/x.service)")


@pytest.mark.parametrize("word", [*WORDS, *OTHER_WORDS])
def test_a_word_for_the_kernel_that_no_recipe_has_is_found(
    word: str, good: Tree, plan: Plan, rpi_disk: Path, tmp_path: Path
) -> None:
    cmdline = f"{good.file(CMDLINE).content_string.strip()} {word}\n"
    planted = plant(good, CMDLINE, cmdline, tmp_path)
    (said,) = find(plan, planted, rpi_disk, tmp_path)
    assert said.startswith(f"{word} (of the kernel's command line)")
    asked = replace(plan, expected=(*plan.expected, Expected("access", word, "a test", "board.yaml:1")))
    assert find(asked, planted, rpi_disk, tmp_path) == []


def test_a_good_image_has_none(good: Tree, plan: Plan, rpi_disk: Path, tmp_path: Path) -> None:
    assert find(plan, good, rpi_disk, tmp_path) == []


@pytest.mark.parametrize(
    ("path", "content"),
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
    ],
)
def test_what_lets_nobody_in_needs_no_line(
    path: str, content: str, good: Tree, plan: Plan, rpi_disk: Path, tmp_path: Path
) -> None:
    assert find(plan, plant(good, path, content, tmp_path), rpi_disk, tmp_path) == []
