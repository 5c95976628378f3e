# SPDX-License-Identifier: MIT
"""Every board is made, and started as far as boards/status.yaml says, which says no more than is done here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder.errors import VerifyError
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import list_boards, load_board
from builder.recipe.status import load_status
from builder.units import SECTOR
from builder.verify.bench import Reach, Running, opened_bench
from builder.verify.login import Login, make_login
from builder.verify.qemu.machine import Machine, prepare, switched_on
from builder.verify.qemu.watch import greets, wait, wait_for_ssh
from tests.chain.conftest import EPOCH, VERSION, boardwright
from tests.chain.test_boot import WHOLE
from tests.chain.upgrade import opened_shelf, upgrade_kernel
from tests.conftest import ROOT
from tests.mirror import mirrored_boards
from tests.qemu10 import find_qemu

pytestmark = [pytest.mark.boot, pytest.mark.machine, pytest.mark.engine, pytest.mark.slow]

STATUS = load_status(ROOT / "boards")
ELSEWHERE = ("qemu-amd64", "qemu-arm64", "rpi")
"""Boards that test_images.py and test_boot.py build and start."""
HERE = [name for name, proof in STATUS.items() if name not in ELSEWHERE and proof != "planned"]
PAIRS = (("bananapi-m2u", "orangepi-pc"), ("rpi-armhf", "rpi-armv6"), ("qemu-riscv64",))
"""Two at a time: the machines of boards use one core each."""
UPGRADED = "qemu-armhf"
STARTED = (*(board for pair in PAIRS for board in pair), UPGRADED)
REDUCED = [name for name in HERE if name not in STARTED]
"""What tells these from the others is all in their images; every architecture has a board that is made whole."""
FEWEST = 350
"""Offline specs of the board that has fewest."""
FIRST_WORDS = {"card": "U-Boot SPL", "u-boot": "U-Boot 20", "kernel": "Linux version"}
"""What a console says first, by what `qemu.firmware` starts."""


@dataclass(frozen=True)
class Start:
    """How far a board came."""

    console: str
    answers: bool
    trouble: str


@pytest.fixture(scope="module")
def boards(place: Path) -> Iterator[Path]:
    """boards/, on archives that have all architectures and on stand-ins for what vendors serve."""
    words = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    address = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    (place / "all").mkdir()
    with mirrored_boards(place / "all", address, reduced=REDUCED) as copied:
        yield copied


@pytest.fixture(scope="module")
def images(boards: Path, place: Path, user_data: Path) -> Path:
    """A directory with the images of all boards: as they are for QEMU, packed where nobody starts them."""
    output = place / "all/dist"
    for names, compression in ((STARTED, "none"), (REDUCED, "zst")):
        done = boardwright(
            *("build", *names, "--engine", "docker", "--json", "--version", VERSION, "--epoch", EPOCH),
            *("--boards", boards, "--user-data", user_data, "--state", place / "all/state", "--output", output),
            *("--compress", compression),
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, [event["text"] for event in events if event["kind"] == "error"] or done.stderr
    return output


@pytest.fixture(scope="module")
def qemu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return find_qemu(tmp_path_factory.mktemp("qemu"))


def plan_of(boards: Path, board: str) -> Plan:
    return make_plan(load_board(boards, board), version=VERSION, epoch=int(EPOCH))


def image_of(images: Path, board: str) -> Path:
    return images / f"boardwright-{board}-{VERSION}.img"


def made_ready(plan: Plan, image: Path, qemu: Path, work: Path) -> tuple[Machine, Login]:
    """Return a machine that is off, of a QEMU that knows it, and who may log in."""
    work.mkdir()
    login = make_login(plan, work)
    machine = prepare(plan, image, work=work / "machine", user_data=login.user_data)
    return replace(machine, argv=(str(qemu / machine.argv[0]), *machine.argv[1:])), login


@pytest.fixture(scope="module")
def starts(boards: Path, images: Path, qemu: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Start]:
    """Start the boards, two at a time, and return how far each came."""
    found = {}
    for pair in PAIRS:
        work = tmp_path_factory.mktemp("pair")
        with ExitStack() as held:
            running = {}
            for board in pair:
                machine, _ = made_ready(plan_of(boards, board), image_of(images, board), qemu, work / board)
                running[board] = held.enter_context(switched_on(machine, work))
            found.update({board: watch(machine) for board, machine in running.items()})
    return found


def watch(machine: Machine) -> Start:
    trouble = ""
    try:
        wait_for_ssh(machine)
    except VerifyError as error:
        trouble = error.message
    return Start(machine.console, greets(machine.ssh_port), trouble)


def test_no_board_claims_more_than_is_done() -> None:
    started = {name for name, proof in STATUS.items() if proof in ("kernel", "booted")}
    assert started == {*STARTED, *WHOLE, "qemu-amd64"}
    assert list(STATUS) == list_boards(ROOT / "boards")


@pytest.mark.parametrize("board", HERE)
def test_a_board_is_made_and_all_its_offline_specs_are_green(board: str, images: Path) -> None:
    report = json.loads((images / f"boardwright-{board}-{VERSION}.specs.json").read_text())
    assert report["passed"]
    assert len(report["verdicts"]) > FEWEST
    assert list(images.glob(f"boardwright-{board}-{VERSION}.img*"))


@pytest.mark.parametrize("board", [board for board in STARTED if board != UPGRADED])
def test_a_board_starts_from_its_image_alone(board: str, starts: Mapping[str, Start], boards: Path) -> None:
    start, qemu = starts[board], load_board(boards, board).recipe.qemu
    assert qemu
    assert start.answers, start.trouble
    assert FIRST_WORDS[qemu.firmware] in start.console
    assert ("Starting kernel ..." in start.console) is (STATUS[board] == "booted")


def test_a_boot_loader_one_sector_off_does_not_start(boards: Path, images: Path, qemu: Path, tmp_path: Path) -> None:
    plan = plan_of(boards, "orangepi-pc")
    (blob,) = plan.disk.blobs
    machine, _ = made_ready(plan, image_of(images, "orangepi-pc"), qemu, tmp_path / "machine")
    card = next(tmp_path.glob("machine/machine/card.img"))
    with card.open("r+b") as disk:
        disk.seek(blob.offset_bytes)
        loader = disk.read(blob.limit_bytes - SECTOR)
        disk.seek(blob.offset_bytes)
        disk.write(bytes(SECTOR) + loader)
    with switched_on(machine, tmp_path) as off, pytest.raises(VerifyError):
        wait(off, lambda: FIRST_WORDS["card"] in off.console, what="boot loader", timeout_s=30)


def test_a_kernel_upgrade_keeps_a_board_with_u_boot_starting(
    boards: Path, images: Path, qemu: Path, tmp_path: Path
) -> None:
    plan = plan_of(boards, UPGRADED)
    off, login = made_ready(plan, image_of(images, UPGRADED), qemu, tmp_path / UPGRADED)
    with switched_on(off, tmp_path) as machine, opened_shelf(tmp_path / "shelf") as shelf:
        wait_for_ssh(machine)
        assert "Starting kernel ..." in machine.console
        reach = Reach(login.user, "127.0.0.1", machine.ssh_port, str(login.key), fleeting=True)
        with opened_bench(Running(reach, login.hostname, machine), tmp_path) as bench:
            upgrade_kernel(bench, shelf, plan.recipe.architecture.value, "/boot/extlinux/extlinux.conf")
