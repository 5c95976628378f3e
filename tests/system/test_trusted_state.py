# SPDX-License-Identifier: MIT
"""A journal that a stranger wrote gives nothing back but what a build can have held."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.artefact.digest_cache import FILE as DIGESTS
from builder.artefact.digest_cache import Digests
from builder.artefact.earlier import remove_earlier
from builder.artefact.reuse import find_made
from builder.cache.usage import find_items, in_use, shrink
from builder.choices import Engine
from builder.disk.image_file import find_artefact
from builder.doctor.doctor import give_back
from builder.doctor.machine import examine_leftovers
from builder.engine.docker.container import make_job
from builder.errors import MachineError, RecipeError
from builder.system.trusted_state import FORMS, of_ours, write_state_file
from builder.system.workspace import find_leftovers, open_workspace
from builder.verify.verify import open_scratch

HELD = {
    "directory": [
        "/s/rooms/rpi/scratch-0123abcd",
        "/s/scratch/verify-17-0123abcd",
        "/d/.partial-boardwright-rpi-0123abcd",
        "/d/.boardwright-rpi-1.0.partial",
        "/d/.boardwright-rpi-1.0.package.partial",
    ],
    "mount": ["/s/rooms/rpi/scratch-0123abcd/base-merged"],
    "loop": ["/s/rooms/rpi/scratch-0123abcd/x.img", "/d/.boardwright-rpi-1.0.partial/boardwright-rpi-1.0.img"],
    "container": ["boardwright-rpi-0123abcd"],
}
HOSTILE = {
    "directory": [
        "/",
        "/home",
        "home",
        "",
        "/s/rooms/rpi",
        "/s/scratch-0123abcd/..",
        "/s/scratch-0123abcd/x",
        "/s/x\n",
    ],
    "mount": ["/", "/home", "/s/scratch-0123abcd", "/s/scratch-0123abcd/../../home", "/s/scratch-0123abcd/.."],
    "loop": ["/var/lib/snapd/snaps/core.snap", "/s/scratch-0123abcd/../../x.img"],
    "container": ["postgres", "boardwright", "boardwright-x", "-f", "a/boardwright-rpi-0123abcd", "2f1a"],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in HELD.items() for name in names])
def test_what_a_build_holds_is_given_back(kind: str, name: str) -> None:
    given: list[str] = []
    of_ours(dict.fromkeys(FORMS, given.append))[kind](name)  # type: ignore[index]
    assert given == [name]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in HOSTILE.items() for name in names])
def test_anything_else_is_not(kind: str, name: str) -> None:
    given: list[str] = []
    with pytest.raises(MachineError, match="which no build can hold; it is not released"):
        of_ours(dict.fromkeys(FORMS, given.append))[kind](name)  # type: ignore[index]
    assert given == []


def test_a_link_that_is_called_as_ours(tmp_path: Path) -> None:
    (tmp_path / "scratch-0123abcd").mkdir()
    link = tmp_path / "scratch-0123abcd/merged"
    link.symlink_to("/home")
    with pytest.raises(MachineError, match="which no build can hold"):
        of_ours({"mount": lambda _: None})["mount"](str(link))


def test_the_names_that_are_given_have_these_forms(tmp_path: Path) -> None:
    with open_workspace(tmp_path, "rpi") as workspace, open_scratch(tmp_path, "verify") as scratch:
        assert FORMS["directory"].fullmatch(str(workspace.scratch))
        assert FORMS["directory"].fullmatch(str(scratch))
    assert FORMS["container"].fullmatch(make_job("image", "rpi", (), tmp_path).name)


def build(state: Path) -> None:
    with open_workspace(state, "rpi"):
        raise AssertionError("it began")


def fix(state: Path) -> None:
    give_back(state, engine=Engine.LOCAL)


@pytest.mark.parametrize("use", [build, fix])
def test_a_state_directory_of_a_stranger(tmp_path: Path, use: Callable[[Path], None]) -> None:
    victim, journals = tmp_path / "victim", tmp_path / "work/journals"
    victim.mkdir()
    journals.mkdir(parents=True)
    held = {"event": "hold", "kind": "directory", "name": str(victim)}
    (journals / "x-1-00000000.jsonl").write_text(json.dumps(held) + "\n")
    with pytest.raises(MachineError, match=f"names the directory {victim}, which no build can hold") as caught:
        use(tmp_path / "work")
    assert "--state" in caught.value.hint
    assert victim.is_dir()
    assert len(find_leftovers(tmp_path / "work")) == 1


@pytest.mark.parametrize("text", ["[]", "1", "{}", '{"event": "hold", "kind": "disk", "name": "/"}', "[" * 100_000])
def test_a_line_that_is_none_of_a_journal(tmp_path: Path, text: str) -> None:
    (tmp_path / "journals").mkdir()
    (tmp_path / "journals/x.jsonl").write_text(text + '\n{"event": "free", "kind": "loop", "name": "/x"}\n')
    (found,) = find_leftovers(tmp_path)
    assert found.held == ()


@pytest.mark.machine
def test_a_journal_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "journals").mkdir()
    (tmp_path / "journals/x.jsonl").write_bytes(b"\xff\n")
    assert [found.text for found in examine_leftovers(tmp_path)] == ["none"]


def test_a_lock_that_is_a_link(tmp_path: Path) -> None:
    """What it leads to would be emptied."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "work/locks").mkdir(parents=True)
    (tmp_path / "work/locks/rpi").symlink_to(victim)
    with pytest.raises(MachineError, match="work/locks/rpi is a link"):
        build(tmp_path / "work")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["locks", "journals", "rooms", "cache"])
def test_a_part_that_is_a_link(tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match=f"work/{name} is a link") as caught:
        build(tmp_path / "work")
    assert "--state" in caught.value.hint
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_room_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "work/rooms").mkdir(parents=True)
    (tmp_path / "work/rooms/rpi").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match="work/rooms/rpi is a link"):
        build(tmp_path / "work")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_that_is_a_link_is_written_anew(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = tmp_path / "logs/rpi.log"
    link.parent.mkdir()
    link.symlink_to(victim)
    write_state_file(link, b"said")
    assert (victim.read_text(), link.read_text(), link.is_symlink()) == ("precious", "said", False)


def test_a_file_of_a_directory_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "rpi").symlink_to("elsewhere")
    with pytest.raises(MachineError, match="rpi is a link"):
        write_state_file(tmp_path / "rpi/record.json", b"")
    assert list((tmp_path / "elsewhere").iterdir()) == []


CACHES = ["apt", "files", "layers", "store/locks", "store/objects", "store/objects/ab", "store/parts", "twins/apt-x-y"]


@pytest.mark.parametrize(
    "place", [*CACHES, "store/locks/ab", "in-use", "../locks/ab", "../rooms/ab", "../rooms/ab/rootfs"]
)
@pytest.mark.parametrize("use", [lambda state: shrink(state, 0), find_items, lambda state: in_use(state).__enter__()])
def test_a_part_of_the_caches_that_is_a_link(tmp_path: Path, place: str, use: Callable[[Path], object]) -> None:
    """What it leads to would be removed, or made."""
    victim = tmp_path / "victim"
    for name in ("ab", "abc", "ab/abc"):
        (victim / name).mkdir(parents=True, exist_ok=True)
        (victim / name / "file").write_text("precious")
        (victim / f"{name}file").write_text("precious")
    before = sorted(victim.rglob("*"))
    link = Path(os.path.normpath(tmp_path / "work/cache" / place))
    link.parent.mkdir(parents=True)
    link.symlink_to(victim / "new" if place.endswith(("/ab", "in-use")) and "objects" not in place else victim)
    with pytest.raises(MachineError, match=f"{link} is a link"):
        use(tmp_path / "work")
    assert sorted(victim.rglob("*")) == before


def test_the_trees_in_the_caches_may_have_links(tmp_path: Path) -> None:
    for place in ("cache/twins/x-for-y", "cache/layers/base", "rooms/rpi/rootfs"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "lib").symlink_to("usr/lib")
    with in_use(tmp_path), open_workspace(tmp_path, "rpi"):
        assert {item.kind for item in find_items(tmp_path)} == {"twins", "layer", "rootfs"}


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize("use", [build, fix, examine_leftovers])
def test_a_journal_without_end(tmp_path: Path, kind: str, use: Callable[[Path], object]) -> None:
    path = tmp_path / "work/journals/x.jsonl"
    path.parent.mkdir(parents=True)
    if kind == "link":
        path.symlink_to("/dev/null")  # /dev/zero would take all memory, were it read.
    else:
        os.mkfifo(path)
    with pytest.raises(MachineError, match=r"x\.jsonl is a (link|special file)"):
        use(tmp_path / "work")


@pytest.mark.parametrize("suffix", [".build.json", ".img.zst.sha256"])
def test_a_file_of_dist_without_end(tmp_path: Path, suffix: str) -> None:
    """It would be waited for when the next build gives its files their names."""
    (tmp_path / "new").mkdir()
    for place in (tmp_path, tmp_path / "new"):
        (place / "x.img.zst").write_text(place.name)
    os.mkfifo(tmp_path / f"x{suffix}")
    remove_earlier(tmp_path, ["x.img.zst", "x.build.json"], tmp_path / "new")
    assert not (tmp_path / "x.img.zst").exists()


def test_an_image_of_dist_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "boardwright-rpi-1.0.img").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "boardwright-rpi-1.1.img")
    (tmp_path / "boards/rpi").mkdir(parents=True)
    (tmp_path / "boards/rpi/board.yaml").touch()
    with pytest.raises(RecipeError, match="found neither a file nor"):
        find_artefact("rpi", tmp_path, tmp_path / "boards")


def test_records_without_end(tmp_path: Path) -> None:
    for name in (DIGESTS, "artefacts.json"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "image").write_text("x")
    Digests(tmp_path).note(tmp_path / "image", "ab" * 32)
    assert find_made(tmp_path / "artefacts.json", {}, tmp_path, []) is None
