# SPDX-License-Identifier: MIT
"""Boards from directories: parents, files, overlays; and the boards of this repository."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.recipe.load import MAX_PARENTS, list_boards, load_board
from tests.conftest import ROOT
from tests.support.recipes import GOOD, write_board

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_board(Path("boards"), "good", GOOD)
    return Path("boards")


def _lines(boards: Path, name: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_board(boards, name)
    return caught.value.message.split("\n")


@pytest.mark.parametrize("name", list_boards(REPOSITORY / "boards"))
def test_boards_of_this_repository_load(name: str) -> None:
    board = load_board(REPOSITORY / "boards", name)
    assert board.name == name
    assert board.directories[-1] == REPOSITORY / "boards" / name


def test_lists_directories_with_a_recipe_but_no_parents_only(boards: Path) -> None:
    write_board(boards, "_base", GOOD)
    (boards / "empty").mkdir()
    (boards / ".hidden").mkdir()
    (boards / ".hidden/board.yaml").touch()
    assert list_boards(boards) == ["good"]


def test_no_directory_of_boards(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="boards: not found; expected the directory of boards"):
        list_boards(tmp_path / "boards")


def test_unknown_board_and_parent_only(boards: Path) -> None:
    write_board(boards, "_base", GOOD)
    assert _lines(boards, "god") == ["board 'god': not found in boards; existing boards: good (did you mean \"good\"?)"]
    assert _lines(boards, "_base") == ["boards/_base: found a parent of boards; expected a board"]
    assert _lines(boards, "../boards/good")[0].startswith("board '../boards/good': not found")


def test_mappings_merge_lists_replace_null_removes(boards: Path) -> None:
    write_board(boards, "mid", "extends: good\npackages:\n  more: [vim, tmux]\nunits: {a.service: masked}\n")
    text = "extends: mid\npackages:\n  base: [sudo]\n  more: null\nboot:\n  cmdline: {console: null, x: y}\n"
    write_board(boards, "low", text)
    board = load_board(boards, "low")
    assert board.recipe.packages == {"base": ["sudo"]}
    assert board.recipe.boot.cmdline == {"root": "rw rootwait", "x": "y"}
    assert board.recipe.units == {"a.service": "masked"}
    assert board.recipe.extends == "mid"
    assert [directory.name for directory in board.directories] == ["good", "mid", "low"]
    assert all(directory.is_absolute() for directory in board.directories)


def test_null_removes_once_more_what_a_parent_removed(boards: Path) -> None:
    write_board(boards, "mid", "extends: good\npackages: {base: null}\n")
    write_board(boards, "low", "extends: mid\npackages: {base: null}\n")
    assert load_board(boards, "low").recipe.packages == {}


def test_errors_point_into_the_parent_that_said_it(boards: Path) -> None:
    write_board(boards, "mid", "extends: good\n\nhostname: No_Name\n")
    write_board(boards, "low", "extends: mid\nsuite: 13\n")
    assert _lines(boards, "low") == [
        'boards/low/board.yaml:2:8: suite: found the number 13; expected text, in quotes: "13"',
        "boards/mid/board.yaml:3:11: hostname: found 'No_Name'; expected lower-case letters, digits and inner hyphens,"
        " at most 63",
    ]


def test_syntax_errors_of_child_and_parent_come_together(boards: Path) -> None:
    write_board(boards, "mid", "title: [\n")
    write_board(boards, "low", "extends: mid\ntitle: a\ntitle: b\n")
    first, second = _lines(boards, "low")
    assert first == "boards/low/board.yaml:3:1: found the key 'title' again; expected it once, as on line 2"
    assert second.startswith("boards/mid/board.yaml:2:1: not YAML:")


def test_loops_of_parents(boards: Path) -> None:
    write_board(boards, "a", "extends: b\n")
    write_board(boards, "b", "extends: c\n")
    write_board(boards, "c", "extends: a\n")
    expected = "boards/c/board.yaml:1:10: extends: found 'a', a loop: a -> b -> c -> a; expected another board"
    assert _lines(boards, "a") == [expected]


def test_too_many_parents(boards: Path) -> None:
    write_board(boards, "b0", "extends: good\n")
    for number in range(1, MAX_PARENTS):
        write_board(boards, f"b{number}", f"extends: b{number - 1}\n")
    assert load_board(boards, f"b{MAX_PARENTS - 1}").recipe.hostname == "good"
    write_board(boards, "deep", f"extends: b{MAX_PARENTS - 1}\n")
    assert _lines(boards, "deep") == [
        "boards/b0/board.yaml:1:10: extends: found 'good', ancestor number 9; expected at most 8"
    ]


def test_files_are_found_beside_the_recipe_that_says_them(boards: Path) -> None:
    write_board(boards, "mid", "extends: good\nkernel:\n  debs: [{file: debs/../debs/a.deb}]\n")
    (boards / "mid/debs").mkdir()
    (boards / "mid/debs/a.deb").touch()
    write_board(boards, "low", "extends: mid\narchives: {debian: {key: {file: ./key.asc}}}\n")
    (boards / "low/key.asc").touch()
    recipe = load_board(boards, "low").recipe
    assert recipe.kernel.debs[0].file == str((boards / "mid/debs/a.deb").resolve())
    assert recipe.archives["debian"].key.file == str((boards / "low/key.asc").resolve())


def test_a_directory_whose_name_begins_alike_is_outside(boards: Path) -> None:
    write_board(boards, "low", "extends: good\nkernel:\n  debs: [{file: ../low-secret/a.deb}]\n")
    (boards / "low-secret").mkdir()
    (boards / "low-secret/a.deb").touch()
    assert _lines(boards, "low") == [
        "boards/low/board.yaml:3:17: kernel.debs[0].file: found '../low-secret/a.deb', which is outside boards/low;"
        " expected a path below it"
    ]


@pytest.mark.parametrize(("written", "code"), [("\\0", "0000"), ("\\uD800\\uDC00", "D800"), ("\\u202e", "202E")])
def test_a_character_that_cannot_be_seen(boards: Path, written: str, code: str) -> None:
    write_board(boards, "low", f'extends: good\nusers:\n  me: {{gecos: "a{written}b"}}\n')
    message = f"found the invisible character U+{code}; remove it"
    assert _lines(boards, "low") == [f"boards/low/board.yaml:3:15: {message}"]


def test_overlays_ancestors_first(boards: Path) -> None:
    write_board(boards, "low", "extends: good\n")
    for name in ("good", "low"):
        (boards / name / "files/etc").mkdir(parents=True)
        (boards / name / "files/etc/motd").write_text(name)
    (boards / "low/files/etc/link").symlink_to("../usr/share/later")
    (boards / "low/customise.sh").write_text("true\n")
    board = load_board(boards, "low")
    assert board.files == tuple((boards / name / "files").resolve() for name in ("good", "low"))


def test_overlays_that_reach_outside(boards: Path) -> None:
    files = write_board(boards, "low", "extends: good\n") / "files"
    (files / "etc").mkdir(parents=True)
    (files / "etc/a").symlink_to("/etc/shadow")
    (files / "etc/b").symlink_to("../../board.yaml")
    (files / "etc/c").symlink_to("c")
    (files / "etc/d").symlink_to("inner/../../..")  # inside as text, outside when followed
    (files / "etc/deep/er").mkdir(parents=True)
    (files / "etc/inner").symlink_to("deep/er")
    (files / "etc/up").symlink_to("..")
    (files / "etc/e").symlink_to("up/../x")  # up/.. is beside files/
    os.mkfifo(files / "etc/fifo")
    allowed = "outside boards/low/files; expected a relative one that stays inside"
    assert _lines(boards, "low") == [
        f"boards/low/files/etc/a:1:1: found a symlink to /etc/shadow, {allowed}",
        f"boards/low/files/etc/b:1:1: found a symlink to ../../board.yaml, {allowed}",
        f"boards/low/files/etc/c:1:1: found a symlink to c, {allowed}",
        f"boards/low/files/etc/d:1:1: found a symlink to inner/../../.., {allowed}",
        f"boards/low/files/etc/e:1:1: found a symlink to up/../x, {allowed}",
        "boards/low/files/etc/fifo:1:1: found a special file; expected a file, directory or symlink",
    ]


def test_a_name_with_characters_that_cannot_be_seen(boards: Path) -> None:
    files = write_board(boards, "low", "extends: good\n") / "files"
    files.mkdir()
    (files / "a\nb").touch()
    (files / "b\u202e").touch()
    (files / "-n $(x) ü").touch()  # odd, and taken as it is
    assert _lines(boards, "low") == [
        r"boards/low/files/a\nb:1:1: found the character U+000A in its name; rename it",
        r"boards/low/files/b\u202e:1:1: found the character U+202E in its name; rename it",
    ]


def test_directories_deeper_than_a_path_can_be(boards: Path) -> None:
    files = write_board(boards, "low", "extends: good\n") / "files"
    files.mkdir()
    here = os.open(files, os.O_RDONLY)
    for _ in range(100):
        os.mkdir("d" * 50, dir_fd=here)
        above, here = here, os.open("d" * 50, os.O_RDONLY, dir_fd=here)
        os.close(above)
    os.close(here)
    assert _lines(boards, "low") == [
        f"boards/low/files:1:1: found a path that ends with {'d' * 50}; expected at most 1024 characters"
    ]


def test_a_directory_that_cannot_be_listed(boards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_board(boards, "low", "extends: good\n") / "files"
    (files / "etc").mkdir(parents=True)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("files/etc"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert _lines(boards, "low") == ["boards/low/files/etc:1:1: cannot be read: Permission denied"]


def test_a_name_that_is_not_utf_8(boards: Path) -> None:
    files = write_board(boards, "low", "extends: good\n") / "files"
    files.mkdir()
    (files / os.fsdecode(b"\xff")).touch()
    assert _lines(boards, "low") == [
        r"boards/low/files/\udcff:1:1: found the byte 0xff in its name, which is not UTF-8; rename it"
    ]


@pytest.mark.parametrize("kind", ["link", "pipe", "device"])
def test_a_recipe_that_is_no_file_of_its_board(boards: Path, tmp_path: Path, kind: str) -> None:
    directory = write_board(boards, "low", "")
    (tmp_path / "credentials").write_text("https://token:SECRET@example.org")
    file = directory / "board.yaml"
    file.unlink()
    messages = {
        "link": "a link that leads out of boards/low; expected one that stays inside",
        "device": "a link that leads",
    }
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(tmp_path / "credentials" if kind == "link" else "/dev/zero")
    (line,) = _lines(boards, "low")
    message = messages.get(kind, "a pipe, which can be read only once")
    assert line.startswith(f"boards/low/board.yaml:1:1: found {message}")
    assert "SECRET" not in line


@pytest.mark.parametrize("kind", ["symlink", "file"])
def test_overlay_that_is_no_directory(boards: Path, kind: str) -> None:
    files = write_board(boards, "low", "extends: good\n") / "files"
    if kind == "symlink":
        files.symlink_to("../good")
    else:
        files.touch()
    assert _lines(boards, "low") == ["boards/low/files:1:1: found a file or a symlink; expected a directory"]


def test_script_that_is_a_way_out(boards: Path) -> None:
    directory = write_board(boards, "low", "extends: good\n")
    (directory / "customise.sh").symlink_to("/etc/shadow")
    expected = "found 'customise.sh', which is outside boards/low; expected a path below it"
    assert _lines(boards, "low") == [f"boards/low/customise.sh:1:1: {expected}"]


def test_imager_lists_an_image_for_hardware_of_its_word_size() -> None:
    for name in list_boards(ROOT / "boards"):
        recipe = load_board(ROOT / "boards", name).recipe
        bits = "64bit" if recipe.architecture.value == "arm64" else "32bit"
        assert all(each.endswith(f"-{bits}") for each in recipe.imager), name
        assert bool(recipe.imager) == name.startswith("rpi"), name


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("my_board", "board.yaml", "found the name 'my_board'; expected lower-case letters, digits and hyphens"),
        ("RPI4", "board.yaml", "found the name 'RPI4'; expected"),
        ("mine", "board.yml", "mine: found no board.yaml"),
        ("_family", "board.yaml", "_family: found a parent of boards"),
    ],
)
def test_a_directory_that_is_there_and_no_board(tmp_path: Path, name: str, file: str, words: str) -> None:
    write_board(tmp_path, "good", GOOD)
    (tmp_path / name).mkdir()
    (tmp_path / name / file).write_text("extends: good\n")
    with pytest.raises(RecipeError, match=words):
        load_board(tmp_path, name)


def test_a_board_that_is_a_link_is_refused(tmp_path: Path) -> None:
    write_board(tmp_path / "boards", "good", GOOD)
    write_board(tmp_path / "elsewhere", "x", "extends: good\n")
    (tmp_path / "boards/x").symlink_to("../elsewhere/x")
    with pytest.raises(RecipeError, match=r"boards/x:1:1: found a symlink to \.\./elsewhere/x; expected a directory"):
        load_board(tmp_path / "boards", "x")


def test_names_that_are_nearly_right_are_told(tmp_path: Path) -> None:
    write_board(tmp_path, "good", GOOD)
    board = write_board(tmp_path, "x", "extends: good\nkernel: {debs: [{file: deb/linux.deb}]}\n")
    for name in ("customize.sh", "board.yml", "notes.txt", "README.md", "Makefile"):
        (board / name).touch()
    for name in ("file", "deb"):
        (board / name).mkdir()
    (board / "deb/linux.deb").touch()
    assert load_board(tmp_path, "x").warnings == (
        "x/board.yml is not used; did you mean board.yaml?",
        "x/customize.sh is not used; did you mean customise.sh?",
        "x/file is not used; did you mean files?",
    )


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("etc/hostname", "`hostname` of board.yaml"),
        ("etc/hosts", "etc/cloud/templates/hosts.debian.tmpl"),
        ("etc/fstab", "customise.sh"),
        ("etc/apt/sources.list.d/mine.sources", "`archives` of board.yaml"),
        ("etc/ssh/ssh_host_ed25519_key", "the build removes it at its end"),
        ("var/log/x.log", "the build removes it"),
        ("run/lock/deep/x", "the build removes it"),
        ("boot/efi/loader/random-seed", "the build removes it"),
        ("boot/efi/LOADER/RANDOM-SEED", "the build removes it"),  # The same file in a FAT.
        ("var/lib/dpkg/info/openssh-server.md5sums", "`packages` of board.yaml"),
        ("var/lib/dpkg/diversions", "`packages` of board.yaml"),
        ("var/lib/apt/extended_states", "`packages` of board.yaml"),
        ("usr/lib/boardwright/delivered.json", "the build records the files of packages there"),
        ("lib/boardwright/delivered.json", "the build records the files of packages there"),
        ("etc/ld.so.cache", "etc/ld.so.conf.d/NAME.conf"),
    ],
)
def test_an_overlay_has_no_say_where_the_build_writes(tmp_path: Path, path: str, instead: str) -> None:
    write_board(tmp_path, "good", GOOD)
    board = write_board(tmp_path, "x", "extends: good\n")
    (board / "files" / path).parent.mkdir(parents=True)
    (board / "files" / path).touch()
    with pytest.raises(RecipeError) as caught:
        load_board(tmp_path, "x")
    assert f"{path}:1:1: found /{path}, which the build itself writes; use " in caught.value.message
    assert instead in caught.value.message


@pytest.mark.parametrize("path", ["etc/hostname.d/x", "var/log/journal/x", "etc/ssh/sshd_config.d/x.conf", "srv/tmp/x"])
def test_an_overlay_may_lay_files_beside(tmp_path: Path, path: str) -> None:
    write_board(tmp_path, "good", GOOD)
    board = write_board(tmp_path, "x", "extends: good\n")
    (board / "files" / path).parent.mkdir(parents=True)
    (board / "files" / path).touch()
    assert load_board(tmp_path, "x").files
