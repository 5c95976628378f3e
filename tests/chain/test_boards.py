# SPDX-License-Identifier: MIT
"""Every board is made, and started as far as boards/status.yaml says, which says no more than is done here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from builder.ci.matrix import load_kinds
from builder.errors import VerifyError
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import list_boards, load_board
from builder.recipe.qemu import Qemu
from builder.units import SECTOR
from builder.verify.live.login import Login, make_login
from builder.verify.live.qemu.machine import Machine, prepare, switched_on
from builder.verify.live.qemu.watch import wait, wait_for_ssh
from builder.verify.live.ssh import Running, SshAddress, open_live_system
from tests.chain.conftest import EPOCH, VERSION, boardwright
from tests.conftest import ROOT
from tests.support.mirror import find_lack, mirrored_boards
from tests.support.qemu10 import find_qemu
from tests.support.selection import ELSEWHERE, EXAMPLES, STARTED, STATUS, UPGRADED, choose_boards, choose_started
from tests.support.upgrade import check_upgraded, find_kernel, write_upgraded_board

pytestmark = [pytest.mark.boot, pytest.mark.machine, pytest.mark.engine, pytest.mark.boards, pytest.mark.slow]

CHOSEN = choose_boards()
STARTING = choose_started()
REDUCED = [name for name in CHOSEN if name not in (*STARTING, UPGRADED)]
"""What tells these from the others is all in their images; every architecture has a board that is made whole."""
AT_ONCE = 1
"""Machines that run at a time: each uses one core, and another worker may run one too."""
FEWEST = 350
"""Offline specs of the board that has fewest."""
FIRST_WORDS = {"card": "U-Boot SPL", "u-boot": "U-Boot 20", "kernel": "Linux version", "uefi": "BdsDxe: starting"}
"""What a console says first, by what `qemu.firmware` starts."""
LOADED = re.compile("Starting kernel \\.\\.\\.|EFI stub: Booting Linux Kernel")
"""What it says when a boot loader has found the kernel."""


@dataclass(frozen=True)
class Start:
    """How far a board came."""

    console: str
    trouble: str
    """Why ssh was not reached; "" where the board has greeted."""
    seconds: float

    @property
    def answers(self) -> bool:
        """Whether ssh has greeted. It is not asked once more: a busy machine may take longer than one call waits."""
        return not self.trouble

    @property
    def kernel_seconds(self) -> float:
        """Seconds that the kernel has counted."""
        return max((float(each) for each in re.findall(r"^\[ *(\d+\.\d+)\]", self.console, re.MULTILINE)), default=0.0)


Starts = Mapping[str, Future[Start]]


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """boards/, on archives that have all architectures and on stand-ins for what vendors serve."""
    address = find_bridge_address()
    with mirrored_boards(tmp_path_factory.mktemp("mirrored"), address, reduced=REDUCED) as copied:
        yield copied


def find_bridge_address() -> str:
    """Return this machine's address on the Engine's bridge.

    Where the bridge is older than the Engine, which found it there, the Engine tells the network alone; then it is the
    first address of that.
    """
    argv = ["docker", "network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}"]
    config = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    return str(config.get("Gateway") or next(ip_network(config["Subnet"]).hosts()))


def find_lack_of(boards: Path, board: str) -> str:
    """Return why a board cannot be made from the mirror as it is, or ""."""
    return find_lack(load_board(boards, board).recipe.architecture.value)


def need_packages(boards: Path, board: str) -> None:
    """Skip a test of a board whose packages the mirror does not have: that is no fault of the board."""
    if lack := find_lack_of(boards, board):
        pytest.skip(lack)


Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(boards: Path, place: Path, user_data: Path) -> Make:
    """Make the images of boards, and return the directory that they are in."""

    def call(*names: str) -> Path:
        output = place / "all/dist"
        names = tuple(name for name in names if not find_lack_of(boards, name))
        done = boardwright(
            *("build", *names, "--engine", "docker", "--json", "--version", VERSION, "--epoch", EPOCH),
            *("--boards", boards, "--user-data", user_data, "--state", place / "all/state", "--output", output),
            *("--compress", "none"),
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, [event["text"] for event in events if event["kind"] == "error"] or done.stderr
        return output

    return call


@pytest.fixture(scope="module")
def started_images(make: Make) -> Path:
    """A directory with the images of the boards that start as they are."""
    return make(*STARTING)


@pytest.fixture(scope="module")
def upgraded_images(make: Make) -> Path:
    """A directory with the image of the board that starts with another kernel."""
    return make(UPGRADED)


@pytest.fixture(scope="module")
def images(starts: Starts, started_images: Path, make: Make) -> Path:
    """A directory with the images of the other boards; while the last are made, machines start already."""
    return make(*REDUCED) if REDUCED else started_images


@pytest.fixture(scope="module")
def qemu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory of QEMU's programs, the first in PATH: command lines are made for the program that is found."""
    programs = find_qemu(tmp_path_factory.mktemp("qemu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        yield programs


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
def starts(
    boards: Path, started_images: Path, qemu: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Starts]:
    """Start the boards beside the tests, and return how far each came."""

    def start(board: str) -> Start:
        work = tmp_path_factory.mktemp(board)
        machine, _ = made_ready(plan_of(boards, board), image_of(started_images, board), qemu, work / board)
        with switched_on(machine, work) as running:
            return watch(running)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        yield {board: pool.submit(start, board) for board in STARTING if not find_lack_of(boards, board)}
        pool.shutdown(cancel_futures=True)


def watch(machine: Machine) -> Start:
    trouble, begun = "", time.monotonic()
    try:
        wait_for_ssh(machine)
    except VerifyError as error:
        trouble = error.message
    return Start(machine.console, trouble, time.monotonic() - begun)


def check_start(start: Start, qemu: Qemu | None, proof: str) -> None:
    """Assert that a board came up as far as ssh, by what boards/status.yaml says that it starts with."""
    assert qemu
    assert start.answers, start.trouble
    # Where the counter of a machine is faster than its boot loader says, all limits in the system are too short.
    assert 0 < start.kernel_seconds < start.seconds
    assert FIRST_WORDS[qemu.firmware] in start.console
    assert bool(LOADED.search(start.console)) is (proof == "booted")


def test_no_board_claims_more_than_is_done() -> None:
    started = {name for name, proof in STATUS.items() if proof in ("kernel", "booted")}
    assert started == {*STARTED, *ELSEWHERE}
    assert list(STATUS) == list_boards(ROOT / "boards")


def test_every_run_has_a_board_of_each_architecture_and_way_to_boot() -> None:
    kinds = {name: (kind.architecture, kind.boot) for name, kind in load_kinds(ROOT / "boards").items()}
    assert {kinds[name] for name in (*EXAMPLES, *ELSEWHERE)} == set(kinds.values())
    assert set(EXAMPLES) <= set(CHOSEN)


@pytest.mark.parametrize("board", [name for name in CHOSEN if name in (*STARTING, *REDUCED)])
def test_a_board_is_made_and_all_its_offline_specs_are_green(board: str, images: Path, boards: Path) -> None:
    check_made(board, images, boards)


def check_made(board: str, images: Path, boards: Path) -> None:
    need_packages(boards, board)
    report = json.loads((images / f"boardwright-{board}-{VERSION}.specs.json").read_text())
    assert report["passed"]
    assert len(report["verdicts"]) > FEWEST
    assert image_of(images, board).exists()


@pytest.mark.parametrize("board", STARTING)
def test_a_board_starts_from_its_image_alone(board: str, starts: Starts, boards: Path) -> None:
    need_packages(boards, board)
    check_start(starts[board].result(), load_board(boards, board).recipe.qemu, STATUS[board])


def test_a_boot_loader_one_sector_off_does_not_start(
    boards: Path, upgraded_images: Path, qemu: Path, tmp_path: Path
) -> None:
    check_made(UPGRADED, upgraded_images, boards)
    plan = plan_of(boards, UPGRADED)
    (blob,) = plan.disk.blobs
    machine, _ = made_ready(plan, image_of(upgraded_images, UPGRADED), qemu, tmp_path / "machine")
    card = next(tmp_path.glob("machine/machine/card.img"))
    with card.open("r+b") as disk:
        disk.seek(blob.offset_bytes)
        loader = disk.read(blob.limit_bytes - SECTOR)
        disk.seek(blob.offset_bytes)
        disk.write(bytes(SECTOR) + loader)
    with switched_on(machine, tmp_path) as off, pytest.raises(VerifyError):
        wait(off, lambda: FIRST_WORDS["card"] in off.console, what="boot loader", timeout_s=30)


def test_a_board_with_u_boot_starts_by_what_a_kernel_upgrade_writes(
    boards: Path, upgraded_images: Path, make: Make, qemu: Path, tmp_path: Path
) -> None:
    """In the tree, where programs of the board run at native speed: an emulated machine takes minutes to unpack it."""
    kernel = find_kernel(upgraded_images / f"boardwright-{UPGRADED}-{VERSION}.packages")
    name = write_upgraded_board(boards, UPGRADED, kernel, scratch=tmp_path / "deb")
    make(name)
    off, login = made_ready(plan_of(boards, name), image_of(upgraded_images, name), qemu, tmp_path / name)
    with switched_on(off, tmp_path) as machine:
        check_start(watch(machine), load_board(boards, name).recipe.qemu, STATUS[UPGRADED])
        reach = SshAddress(login.user, "127.0.0.1", machine.ssh_port, str(login.key), fleeting=True)
        with open_live_system(Running(reach, login.hostname, machine), tmp_path) as live:
            check_upgraded(live, kernel)
