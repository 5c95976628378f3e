# SPDX-License-Identifier: MIT
"""What `boardwright plan` prints."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.plan.render import render_json, render_table
from builder.recipe.load import load_board
from tests.support.recipes import write_board


def _plan(boards: Path, more: str = "") -> Plan:
    write_board(boards, "low", f"extends: good\n{more}")
    return make_plan(load_board(boards, "low"), version="1.0", epoch=1_700_000_000)


def _printed(plan: Plan, width: int = 200) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(render_table(plan))
    return stream.getvalue()


def test_json_is_stable_sorted_and_without_paths_of_this_machine(boards: Path) -> None:
    directory = write_board(boards, "low", "")
    (directory / "a.bin").touch()
    (directory / "a.deb").touch()
    more = "blobs: {b: {file: a.bin, offset: 8KiB, size: 8KiB}}\nkernel: {debs: [{file: a.deb}]}\n"
    text = render_json(_plan(boards, more))
    assert text == render_json(_plan(boards, more))
    assert str(boards) not in text
    data = json.loads(text)
    assert text == json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert data["disk"]["blobs"][0]["location"] == "low/a.bin"
    assert data["packages"]["debs"][0]["location"] == "low/a.deb"
    assert data["recipe"]["blobs"]["b"]["file"] == "low/a.bin"
    assert data["directories"] == ["good", "low"]
    assert data["user_data"] is None


def test_json_has_every_field_of_a_plan(boards: Path) -> None:
    plan = _plan(boards)
    assert set(json.loads(render_json(plan))) == {"format", *Plan.__dataclass_fields__}


def test_table_shows_every_decision(boards: Path) -> None:
    plan = _plan(boards, "docker: {source: docker}\nfeatures: [wifi]\n")
    text = _printed(plan)
    for step in plan.steps:
        assert step.key[:12] in text
    for slot in plan.disk.slots:
        assert slot.partuuid in text
        assert slot.fs_id in text
    for words in (
        "low: A good board",
        "wifi",
        "boardwright-low-1.0.img",
        "boardwright-low-1.0.packages",
        "auto: content + 256 MiB",
        "64 MiB",
        "linux-image-arm64",
        "docker-ce docker-ce-cli",
        "https://download.docker.com/linux/debian",
        "Docker's own, stable, newest",
        plan.kernel_cmdline,
        "good/board.yaml, low/board.yaml",
        "the documented example",
        "as long as its content needs",
    ):
        assert words in text, words
    assert "Boot blobs" not in text


def test_what_is_foreseen_stands_beside_its_stage(boards: Path) -> None:
    stream = io.StringIO()
    table = render_table(_plan(boards), {"system": "miss: [x] has changed"})
    Console(file=stream, width=300, color_system=None).print(table)
    (line,) = (line for line in stream.getvalue().splitlines() if line.startswith("system "))
    assert line.rstrip().endswith("miss: [x] has changed")
    assert " cache" not in _printed(_plan(boards))


def test_slots_say_first_and_last_sector(boards: Path) -> None:
    rows = [line.split() for line in _printed(_plan(boards)).splitlines() if line.startswith("1  boot")]
    assert rows[0][3:8] == ["2048", "133119", "131072", "64", "MiB"]


def test_table_shows_blobs_and_files(boards: Path) -> None:
    directory = write_board(boards, "low", "")
    (directory / "a.deb").touch()
    more = """\
kernel: {debs: [{file: a.deb}]}
docker: {source: none}
blobs:
  bl1: {rootfs: usr/bl1, offset: 0s, size: 8KiB, holes: [{offset: "440", size: "72"}]}
  spl: {rootfs: usr/spl, offset: 8KiB, size: 8KiB}
table:
  partitions:
    - {name: boot, filesystem: fat32, size: 64MiB, mount: /boot/firmware, label: BOOT}
    - {name: root, filesystem: ext4, size: 1GiB, mount: /, label: root}
"""
    text = _printed(_plan(boards, more))
    for words in (
        "all but its bytes 440-511",
        "rootfs usr/spl",
        "low/a.deb",
        "and 1 as files",
        "2230272 sectors",
        "1 GiB",
    ):
        assert words in text, words


def test_brackets_are_text_and_not_markup(boards: Path) -> None:
    assert "Board [red]" in _printed(_plan(boards, "title: 'Board [red]'\n"))


def test_narrow_terminals_lose_nothing(boards: Path) -> None:
    plan = _plan(boards)
    text = "".join(_printed(plan, width=60).split())
    assert plan.image_name in text
    assert "linux-image-arm64" in text


def test_table_shows_which_packages_of_the_last_build_an_archive_gave(boards: Path) -> None:
    plan = _plan(boards)
    name = next(iter(plan.recipe.archives))
    few, many = {"less": name, "vim": "other"}, {f"p{number}": name for number in range(21)}
    stream = io.StringIO()
    for supply in (few, many):
        Console(file=stream, width=200, color_system=None).print(render_table(plan, {}, supply))
    assert "1: less" in stream.getvalue()
    assert " 21 " in stream.getvalue().replace("\n", " ")
    assert "p20" not in stream.getvalue()
    assert "last build" not in _printed(plan)
