# SPDX-License-Identifier: MIT
"""QEMU's command line, as recipes ask for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from builder.errors import MachineError
from builder.plan.model import Plan
from builder.verify.live.qemu import command
from builder.verify.live.qemu.command import make_command
from tests.support.qemu_images import FILES, make_fat_image, plan_of, without_qemu

NO_VIDEOCORE = "modprobe.blacklist=vchiq"
"""What the recipe of `rpi` tells a kernel in QEMU."""


def words(plan: Plan, tmp_path: Path, card: Path, *, interactive: bool = False) -> list[str]:
    return make_command(
        plan, card, work=tmp_path, console=tmp_path / "console.log", ssh_port=2222, interactive=interactive
    )


@pytest.mark.machine
def test_rpi_starts_from_an_sd_card_with_its_own_kernel(tmp_path: Path) -> None:
    plan = plan_of("rpi")
    argv = words(plan, tmp_path, make_fat_image(tmp_path / "disk.img", plan))
    options = list(pairwise(argv))
    assert argv[0] == "qemu-system-aarch64"
    assert ("-kernel", str(tmp_path / "taken/kernel")) in options
    assert ("-initrd", str(tmp_path / "taken/initrd")) in options
    assert ("-dtb", str(tmp_path / "taken/device-tree")) in options
    assert ("-append", f"{FILES['cmdline.txt'].strip()} {NO_VIDEOCORE}") in options
    assert ("-drive", f"file={tmp_path}/disk.img,if=sd,format=raw,cache=unsafe") in options
    assert ("-device", "usb-net,netdev=net,mac=b8:27:eb:00:00:01") in options


@pytest.mark.machine
def test_the_console_is_the_serial_port_of_its_number(tmp_path: Path) -> None:
    plan = plan_of("rpi")
    argv = words(plan, tmp_path, make_fat_image(tmp_path / "disk.img", plan))
    assert [after for word, after in pairwise(argv) if word == "-serial"] == ["null", "chardev:console"]


@pytest.mark.machine
def test_a_machine_with_another_console_than_the_images_gets_it_said(tmp_path: Path) -> None:
    plan = plan_of("rpi")
    assert plan.recipe.qemu
    qemu = plan.recipe.qemu.model_copy(update={"machine": "virt", "console": "ttyAMA0", "device_tree": None})
    plan = with_qemu(plan, qemu)
    argv = words(plan, tmp_path, make_fat_image(tmp_path / "disk.img", plan))
    assert ("-append", f"console=ttyAMA0 {FILES['cmdline.txt'].strip()} {NO_VIDEOCORE}") in pairwise(argv)
    assert "-dtb" not in argv


def with_qemu(plan: Plan, qemu: object) -> Plan:
    return replace(plan, recipe=plan.recipe.model_copy(update={"qemu": qemu}))


@pytest.mark.boot
def test_virtual_machines_start_by_uefi_with_variables_of_their_own(tmp_path: Path) -> None:
    argv = words(plan_of("qemu-arm64"), tmp_path, tmp_path / "a,b.img")
    assert f"if=pflash,format=raw,unit=1,file={tmp_path}/uefi-variables.fd" in argv
    assert f"file={tmp_path}/a,,b.img,if=none,id=disk,format=raw,cache=unsafe,discard=unmap" in argv
    assert (tmp_path / "uefi-variables.fd").stat().st_size > 0


@pytest.mark.boot
def test_on_a_terminal_the_console_is_there_and_in_the_log(tmp_path: Path) -> None:
    argv = words(plan_of("qemu-arm64"), tmp_path, tmp_path / "card.img", interactive=True)
    assert f"stdio,id=console,mux=on,signal=off,logfile={tmp_path}/console.log" in argv


def test_a_board_without_qemu_is_for_the_board(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="has no `qemu` in its recipe"):
        words(without_qemu(plan_of("rpi")), tmp_path, tmp_path / "card.img")


def test_missing_firmware_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_uefi", lambda _: None)
    with pytest.raises(MachineError, match="no UEFI firmware for arm64"):
        words(plan_of("qemu-arm64"), tmp_path, tmp_path / "card.img")


@pytest.mark.parametrize("accel", ["kvm", "tcg"])
def test_the_user_may_say_how_it_runs(accel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDWRIGHT_ACCEL", accel)
    monkeypatch.setattr(command, "_uefi", lambda *_: [])
    argv = words(plan_of("qemu-arm64"), tmp_path, tmp_path / "card.img")
    assert argv[argv.index("-accel") + 1] == {"kvm": "kvm", "tcg": "tcg,thread=multi"}[accel]


def test_processors_take_turns_where_a_recipe_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(command.FIRMWARE, "kernel", lambda *_: [])
    argv = words(plan_of("rpi"), tmp_path, tmp_path / "card.img")
    assert argv[argv.index("-accel") + 1] == "tcg,thread=single"
