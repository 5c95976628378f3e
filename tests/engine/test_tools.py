# SPDX-License-Identifier: MIT
"""Where an image is verified and booted: what this machine lacks, whether an Engine answers, who we are."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.choices import Engine
from builder.engine import tools
from builder.engine.tools import choose_tools, guess_recipe
from builder.errors import MachineError, RecipeError
from builder.recipe.load import load_board
from builder.recipe.model import Recipe
from builder.verify.live.qemu import needs
from builder.verify.live.qemu.needs import Need, find_missing_for_boot, find_missing_for_specs
from tests.conftest import ROOT

BOARDS = ROOT / "boards"
QEMU = Need("qemu-system-aarch64", "qemu-system-arm")
OLD = Need("the machine bpim2u in qemu-system-arm")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was installed, by a machine whose APT knows Debian 12's packages."""
    names: list[str] = []
    monkeypatch.setattr(tools, "install_packages", lambda found, why: names.extend(found))
    monkeypatch.setattr(tools, "can_install", lambda _: False)
    return names


def situation(monkeypatch: pytest.MonkeyPatch, *, engine: bool, root: bool) -> None:
    """Let an Engine answer or not, and this machine be Debian with root or a laptop."""

    def choose(wanted: Engine) -> str:
        if wanted != Engine.LOCAL and engine:
            return Engine.DOCKER
        if wanted != Engine.DOCKER and root:
            return Engine.LOCAL
        raise MachineError("no Docker Engine answers, and you are not root", hint="start Docker")

    monkeypatch.setattr(tools, "choose_engine", choose)


TABLE: list[tuple[Engine, list[Need], bool, bool, str]] = [
    # asked for, missing, an Engine answers, root on Debian → where
    (Engine.AUTO, [], True, True, "here"),
    (Engine.AUTO, [], False, False, "here"),
    (Engine.LOCAL, [], True, False, "here"),
    (Engine.DOCKER, [], True, True, "container"),
    (Engine.DOCKER, [], False, True, "error"),
    (Engine.AUTO, [QEMU], True, True, "container"),
    (Engine.AUTO, [QEMU], True, False, "container"),
    (Engine.AUTO, [QEMU], False, True, "install"),
    (Engine.AUTO, [QEMU], False, False, "error"),
    (Engine.LOCAL, [QEMU], True, True, "install"),
    (Engine.LOCAL, [QEMU], True, False, "error"),
    (Engine.DOCKER, [QEMU], True, False, "container"),
    (Engine.DOCKER, [QEMU], False, True, "error"),
    (Engine.AUTO, [OLD], True, True, "container"),
    (Engine.AUTO, [OLD], False, True, "error"),
    (Engine.LOCAL, [OLD], True, True, "error"),
]


@pytest.mark.parametrize(("wanted", "missing", "engine", "root", "where"), TABLE)
def test_every_situation_has_its_place(
    wanted: Engine,
    missing: list[Need],
    engine: bool,
    root: bool,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
    installed: list[str],
) -> None:
    situation(monkeypatch, engine=engine, root=root)
    try:
        found = {"docker": "container", "local": "here"}[choose_tools(wanted, missing)]
    except MachineError:
        found = "error"
    assert ("install" if installed else found) == where
    assert installed == (["qemu-system-arm"] if where == "install" else [])


def test_a_machine_that_can_do_nothing_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    situation(monkeypatch, engine=False, root=False)
    with pytest.raises(MachineError) as caught:
        choose_tools(Engine.AUTO, [QEMU, OLD])
    assert "this machine lacks qemu-system-aarch64, the machine bpim2u in qemu-system-arm" in caught.value.message
    assert "no Docker Engine answers, and you are not root" in caught.value.message
    assert caught.value.hint == "apt-get install qemu-system-arm (Debian), or start Docker"


def test_what_no_package_has_is_not_installed(monkeypatch: pytest.MonkeyPatch, installed: list[str]) -> None:
    situation(monkeypatch, engine=False, root=True)
    with pytest.raises(MachineError, match="lacks the machine bpim2u in qemu-system-arm, and none of its packages"):
        choose_tools(Engine.LOCAL, [QEMU, OLD])
    assert not installed


@pytest.mark.parametrize(("split", "package"), [(False, "qemu-system-misc"), (True, "qemu-system-riscv")])
def test_risc_v_is_in_the_package_that_the_release_has(
    split: bool, package: str, monkeypatch: pytest.MonkeyPatch, installed: list[str]
) -> None:
    situation(monkeypatch, engine=False, root=True)
    monkeypatch.setattr(tools, "can_install", lambda _: split)
    assert choose_tools(Engine.LOCAL, [Need("qemu-system-riscv64", "qemu-system-misc")]) == Engine.LOCAL
    assert installed == [package]


@pytest.mark.parametrize(
    ("name", "board", "architecture"),
    [
        ("boardwright-rpi-1.0.img.zst", "", "arm64"),
        ("boardwright-rpi-armhf-1.0.img", "", "armhf"),
        ("card.img", "", ""),
        ("boardwright-unheard-1.0.img", "", ""),
        ("card.img", "qemu-amd64", "amd64"),
        ("boardwright-rpi-1.0.img", "unheard", ""),
    ],
)
def test_the_board_is_told_by_name_where_it_can_be(name: str, board: str, architecture: str) -> None:
    recipe = guess_recipe(Path(name), board, BOARDS)
    assert (recipe.architecture.value if recipe else "") == architecture


def test_the_record_of_the_build_counts_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "boardwright-rpi-armhf-1.0.img"  # Of the board rpi, in the version armhf-1.0.
    path.with_suffix(".build.json").write_text('{"board": "rpi"}')
    recipe = guess_recipe(path, "", BOARDS)
    assert recipe is not None
    assert recipe.architecture.value == "arm64"


def recipe_of(board: str) -> Recipe:
    return load_board(BOARDS, board).recipe


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any program; the directory is its PATH."""
    monkeypatch.setattr("builder.system.tools.search_path", lambda: str(tmp_path))
    return tmp_path


def put_program(directory: Path, name: str, script: str = "") -> None:
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)


def names(missing: tuple[Need, ...]) -> set[str]:
    return {need.name for need in missing}


def test_a_bare_machine_lacks_all_of_it(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find_uefi", lambda _: None)
    arm = names(find_missing_for_boot(Path("x.img.zst"), recipe_of("qemu-arm64"), login=True))
    assert arm >= {"qemu-system-aarch64", "UEFI firmware for arm64", "zstd", "ssh-keygen", "mcopy"}
    raw = names(find_missing_for_boot(Path("x.img"), recipe_of("rpi"), login=False))
    assert "qemu-system-aarch64" in raw
    assert not raw & {"zstd", "ssh-keygen", "UEFI firmware for arm64"}
    for suffix, program in ((".xz", "xz"), (".gz", "pigz")):
        assert program in names(find_missing_for_boot(Path(f"x.img{suffix}"), recipe_of("rpi"), login=False))
    assert {need.package for need in find_missing_for_specs(Path("x.img"), recipe_of("qemu-amd64"), boot=True)} >= {
        *("qemu-system-x86", "ovmf", "openssh-client", "e2fsprogs")
    }


def test_the_specs_of_the_image_alone_need_no_qemu(bare: Path) -> None:
    missing = names(find_missing_for_specs(Path("x.img.gz"), recipe_of("rpi"), boot=False))
    assert missing >= {"sfdisk", "e2fsck", "pigz"}
    assert not {name for name in missing if "qemu" in name or "ssh" in name}


def test_a_board_that_is_not_known_yet_may_be_for_any_qemu(bare: Path) -> None:
    for tool in needs.CARD:
        put_program(bare, tool)
    path = Path("card.img")
    assert "qemu-system-x86_64" in names(find_missing_for_boot(path, None, login=False))
    put_program(bare, "qemu-system-riscv64")
    assert not find_missing_for_boot(path, None, login=False)


def test_a_board_without_qemu_lacks_none(bare: Path) -> None:
    recipe = recipe_of("rpi").model_copy(update={"qemu": None})
    assert "qemu-system-aarch64" not in names(find_missing_for_boot(Path("x.img"), recipe, login=False))


@pytest.mark.parametrize(("machine", "missing"), [("bpim2u", set()), ("cubieboard", {"the machine bpim2u"})])
def test_a_qemu_that_is_too_old_for_the_board_is_as_good_as_none(machine: str, missing: set[str], bare: Path) -> None:
    put_program(bare, "qemu-system-arm", f"echo 'Supported machines are:'; echo '{machine}   A machine'")
    found = names(find_missing_for_boot(Path("x.img"), recipe_of("bananapi-m2u"), login=False))
    assert {name.partition(" in ")[0] for name in found if "machine" in name} == missing


def test_an_error_of_the_recipe_is_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/board.yaml").write_text("titel: x\n")
    with pytest.raises(RecipeError):
        guess_recipe(Path("boardwright-x-1.img"), "", tmp_path)
