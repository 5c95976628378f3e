# SPDX-License-Identifier: MIT
"""Verifying a file from the command line to the report: errors for files that are no image, and reports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from builder.disk.image_file import open_image
from builder.errors import MachineError, RecipeError, ToolError, VerifyError
from builder.plan.make import make_plan
from builder.recipe.load import list_boards, load_board
from builder.units import MIB
from builder.verify import runner
from builder.verify.live.qemu.machine import Machine
from builder.verify.live.ssh import Running, SshAddress
from builder.verify.runner import find_specs, run_specs
from builder.verify.task import Task, read_task
from builder.verify.verify import VerifyOptions, make_task, read_claim, verify_artefact
from tests.chain.conftest import boardwright
from tests.conftest import ROOT

pytestmark = pytest.mark.machine
RUNNING = Running(
    SshAddress("pirate", "127.0.0.1", 2222), "x", Machine(("qemu", "-m"), "console.log", 2222, pid=7), "other"
)
RELEASE = 'ID=debian\nIMAGE_VERSION={version}\nBOARDWRIGHT_BOARD={board}\nBOARDWRIGHT_DEVICE="x"\n'


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_image(tmp_path, "rpi")


def make_image(work: Path, board: str, *, version: str = "1.0") -> Path:
    """A disk that says of itself what it is, and holds little else."""
    path, release = work / "card.img", work / "os-release"
    release.write_text(RELEASE.format(board=board, version=version) if board else "ID=debian\n")
    with path.open("wb") as stream:
        stream.truncate(100 * MIB)
    table = b"label: dos\nlabel-id: 0x12345678\nstart=2048, size=81920, type=c\nstart=83968, type=83\n"
    subprocess.run(["sfdisk", "-q", path], input=table, check=True)
    subprocess.run(["mformat", "-i", f"{path}@@{MIB}", "-F", "-T", "81920", "::"], check=True)
    subprocess.run(["mcopy", "-i", f"{path}@@{MIB}", release, "::os-release"], check=True)
    tree = work / "tree"
    (tree / "usr/lib").mkdir(parents=True)
    (tree / "usr/lib/clock-epoch").touch()
    mke2fs = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={41 * MIB}", "-d", str(tree), str(path), "58M"]
    subprocess.run(mke2fs, check=True)
    return path


def make_options(**changes: object) -> VerifyOptions:
    return VerifyOptions(**{"boards": ROOT / "boards", **changes})  # type: ignore[arg-type]


def test_an_image_says_what_it_is(image: Path) -> None:
    claim = read_claim(image)
    assert (claim.board, claim.version) == ("rpi", "1.0")
    assert claim.epoch == int((image.parent / "tree/usr/lib/clock-epoch").stat().st_mtime)


def test_a_poor_image_is_red_and_leaves_a_report_for_people_and_programs(image: Path, tmp_path: Path) -> None:
    report = verify_artefact(image, make_options(only="disk"), tmp_path / "state")
    red = {verdict.name for verdict in report.failures}
    assert "test_the_disk_has_the_planned_id" in red
    assert "test_partitions_do_not_overlap" not in red
    assert json.loads((tmp_path / "card.specs.json").read_text())["passed"] is False
    suite_of_all = Xml.parse(tmp_path / "card.specs.xml").getroot()[0]
    assert int(suite_of_all.attrib["failures"]) + int(suite_of_all.attrib["errors"]) == len(red)
    assert not list((tmp_path / "state/scratch").iterdir())
    assert not list((tmp_path / "state/journals").iterdir())


def test_the_image_is_not_changed(image: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    verify_artefact(image, make_options(), tmp_path / "state")
    assert image.read_bytes() == before


def test_a_red_image_ends_the_command_with_its_own_code(image: Path, tmp_path: Path) -> None:
    done = boardwright("verify", image, "--state", tmp_path / "state", "--only", "disk_has_the_planned_id")
    assert done.returncode == VerifyError.exit_code
    assert "the disk has the planned id" in done.stdout
    assert "board rpi, version 1.0" in done.stderr


def test_programs_get_the_report_as_an_event(image: Path, tmp_path: Path) -> None:
    done = boardwright("verify", image, "--state", tmp_path / "state", "--only", "do_not_overlap", "--json")
    result = next(json.loads(line) for line in done.stdout.splitlines() if '"result"' in line)
    assert done.returncode == 0
    assert result["data"]["passed"] is True


def test_what_has_no_table_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "noise.img"
    path.write_bytes(bytes(MIB))
    with pytest.raises(VerifyError, match="no partition table"):
        verify_artefact(path, make_options(), tmp_path / "state")


def test_an_image_of_nobody_needs_a_board(tmp_path: Path) -> None:
    image = make_image(tmp_path, "")
    with pytest.raises(RecipeError, match="os-release has no BOARDWRIGHT_BOARD") as caught:
        verify_artefact(image, make_options(), tmp_path / "state")
    assert "--board" in caught.value.hint
    assert verify_artefact(image, make_options(board="rpi", only="do_not_overlap"), tmp_path / "state").board == "rpi"


def test_a_board_that_is_not_here_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"board toaster is not in .* qemu-amd64"):
        verify_artefact(make_image(tmp_path, "toaster"), make_options(), tmp_path / "state")


def test_a_place_for_the_report_is_asked_for_before_the_work(image: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be written") as caught:
        verify_artefact(image, make_options(reports=tmp_path / "missing"), tmp_path / "state")
    assert "--report" in caught.value.hint


def test_words_that_no_spec_has_are_said(image: Path, tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="no spec was run"):
        verify_artefact(image, make_options(only="unicorn"), tmp_path / "state")


def test_without_a_list_of_packages_its_spec_is_left_out(image: Path, tmp_path: Path) -> None:
    only = make_options(only="packages_are_those_of_the_list")
    with pytest.raises(VerifyError, match="no spec was run"):
        verify_artefact(image, only, tmp_path / "state")
    (tmp_path / "card.packages").write_text("name\tversion\n")
    assert len(verify_artefact(image, only, tmp_path / "state").verdicts) == 1


def test_a_spec_that_cannot_be_read_is_no_verdict(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "specs"
    shutil.copytree(find_specs(), own)
    (own / "broken_spec.py").write_text("import nothing_of_that_name\n")
    monkeypatch.setattr(runner, "find_specs", lambda: own)
    with pytest.raises(ToolError, match="nothing_of_that_name"):
        verify_artefact(image, make_options(), tmp_path / "state")


def test_specs_that_are_missing_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.builder, "__file__", str(tmp_path / "builder/__init__.py"))  # type: ignore[attr-defined]
    with pytest.raises(MachineError, match="the specs are missing"):
        find_specs()


def test_a_spec_of_ones_own_is_run_and_asks_in_sentences(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "specs"
    shutil.copytree(find_specs(), own)
    (own / "data/colour.yaml").write_text("all: [red]\nwifi serial: [green]\nwifi virtual: [blue]\n")
    (own / "own_spec.py").write_text(
        "import pytest\n"
        "def test_it_has_a(colour): assert colour != 'green'\n"
        "@pytest.mark.needs('virtual')\ndef test_virtual(): assert False\n"
        "@pytest.mark.level('booted')\ndef test_booted(): assert False\n"
        "@pytest.mark.parametrize('slot', [1])\ndef test_mine(slot): assert slot == 1\n"
    )
    monkeypatch.setattr(runner, "find_specs", lambda: own)
    report = verify_artefact(image, make_options(only="own_spec"), tmp_path / "state")
    found = {verdict.sentence: verdict.outcome for verdict in report.verdicts}
    assert found == {"it has a (red)": "passed", "it has a (green)": "failed", "mine (1)": "passed"}


def test_specs_have_their_time_and_their_memory(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "specs"
    shutil.copytree(find_specs(), own)
    (own / "own_spec.py").write_text(
        "import time\n"
        "def test_memory(): bytearray(4 << 30)\n"
        "def test_next(): pass\n"
        "def test_sleeper(): time.sleep(600)\n"
    )
    monkeypatch.setattr(runner, "find_specs", lambda: own)
    report = verify_artefact(image, make_options(only="own_spec and not sleeper"), tmp_path / "state")
    assert [(verdict.name, verdict.outcome) for verdict in report.verdicts] == [
        ("test_memory", "failed"),
        ("test_next", "passed"),
    ]
    assert "MemoryError" in report.failures[0].message
    with open_image(image, tmp_path) as found, pytest.raises(ToolError, match="was still running after 5 s"):
        run_specs(make_task(found, make_options(), tmp_path), only="sleeper", timeout_s=5)


@pytest.mark.parametrize(("board", "version"), [("../../x", "1.0"), ("rpi", "1 \x1b[2J"), ("rpi", "../1")])
def test_what_an_image_cannot_be_is_said(tmp_path: Path, board: str, version: str) -> None:
    with pytest.raises(VerifyError, match="the image's os-release has the line") as caught:
        read_claim(make_image(tmp_path, board, version=version))
    assert "--board" in caught.value.hint


def test_the_level_chroot_calls_programs_in_the_unpacked_tree(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "specs"
    shutil.copytree(find_specs(), own)
    (own / "own_spec.py").write_text(
        "import pytest\npytestmark = pytest.mark.level('chroot')\n"
        "def test_it_runs(call): assert call('x').stdout.split() == ['arm64', 'lib', 'x']\n"
    )
    monkeypatch.setattr(runner, "find_specs", lambda: own)

    def enter(tree: Path, architecture: str) -> list[str]:
        return ["echo", architecture, next((tree / "usr").iterdir()).name]

    options = make_options(only="own_spec", levels=("offline", "chroot"), enter=enter)
    report = verify_artefact(image, options, tmp_path / "state")
    assert [(verdict.name, verdict.outcome) for verdict in report.verdicts] == [("test_it_runs", "passed")]


def test_the_level_chroot_is_for_root(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    options = make_options(levels=("offline", "chroot"), enter=lambda _tree, _architecture: ["true"])
    with pytest.raises(MachineError, match="only root may") as caught:
        verify_artefact(image, options, tmp_path / "state")
    assert "--level offline" in caught.value.hint


@pytest.mark.parametrize("board", list_boards(ROOT / "boards"))
def test_a_task_is_the_same_in_another_process(tmp_path: Path, board: str) -> None:
    plan = make_plan(load_board(ROOT / "boards", board), version="1.0", epoch=5)
    task = Task(plan, levels=("offline", "booted"), running=RUNNING)
    task.write(tmp_path / "task.json")
    assert read_task(tmp_path / "task.json") == task


def test_specs_alone_say_how_they_are_run() -> None:
    specs = find_specs()
    done = boardwright_pytest("-c", specs / "pytest.ini", "--rootdir", specs, specs)
    assert "boardwright verify" in done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR


def boardwright_pytest(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
