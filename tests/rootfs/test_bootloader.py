# SPDX-License-Identifier: MIT
"""Boot configurations of the real boards, and what is refused."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from builder.boot_methods.table import find_boot_program
from builder.errors import RecipeError
from builder.plan.model import Plan
from builder.rootfs.bootloader import find_kernels, prepare_boot
from builder.rootfs.fstab import render_fstab
from builder.system.process import run
from tests.support.rootfs_boards import PlanReal


def _tree(tmp_path: Path, plan: Plan, *, kernels: tuple[str, ...] = ("6.12.1", "6.12.2")) -> Path:
    """A tree with the kernels and the program of the plan's boot method."""
    program = tmp_path / find_boot_program(plan).path.lstrip("/")
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "boot").mkdir()
    for kernel in kernels:
        (tmp_path / f"boot/vmlinuz-{kernel}").touch()
    return tmp_path


def _shell_values(path: Path) -> dict[str, str]:
    """Read a file of assignments as a shell would."""
    words = shlex.split(path.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words)


def test_fstab_of_an_mbr(plan_real: PlanReal) -> None:
    plan = plan_real("rpi")
    rows = [line.split() for line in render_fstab(plan).splitlines() if not line.startswith("#")]
    assert rows == [
        [f"PARTUUID={plan.disk.id}-02", "/", "ext4", "defaults,noatime", "0", "1"],
        [
            f"PARTUUID={plan.disk.id}-01",
            "/boot/firmware",
            "vfat",
            "defaults,umask=0022,x-systemd.device-timeout=10min",
            "0",
            "2",
        ],
    ]


def test_fstab_names_what_the_command_line_names(plan_real: PlanReal) -> None:
    plan = plan_real("qemu-amd64")
    root = next(line for line in render_fstab(plan).splitlines() if " / " in line)
    assert f"root={root.split()[0]}" in plan.kernel_cmdline.split()


def test_raspi(tmp_path: Path, plan_real: PlanReal) -> None:
    plan = plan_real("rpi")
    commands = prepare_boot(plan, _tree(tmp_path, plan))
    values = _shell_values(tmp_path / "etc/default/raspi-firmware")
    assert values == {
        "CONSOLES": "tty0 ttyAMA10,115200 ttyS1,115200",
        "ROOTPART": f"PARTUUID={plan.disk.id}-02",
        "CMA": "0",
    }
    assert (tmp_path / "etc/default/raspi-extra-cmdline").read_text() == "cgroup_enable=memory\n"
    custom = (tmp_path / "etc/default/raspi-firmware-custom").read_text()
    assert custom == "# video\nhdmi_force_hotplug=1\ndisable_overscan=1\n# memory\ngpu_mem=16\n"
    assert [command.argv for command in commands] == [("/etc/kernel/postinst.d/z50-raspi-firmware",)]
    assert dict(commands[0].env) == {"DEB_MAINT_PARAMS": "configure"}


def test_raspi_loses_no_word_of_the_command_line(tmp_path: Path, plan_real: PlanReal) -> None:
    plan = plan_real("rpi")
    prepare_boot(plan, _tree(tmp_path, plan))
    values = _shell_values(tmp_path / "etc/default/raspi-firmware")
    extra = (tmp_path / "etc/default/raspi-extra-cmdline").read_text().split()
    consoles = [f"console={name}" for name in values["CONSOLES"].split()]
    hook = ["rw", "rootwait", "fsck.repair=yes", "net.ifnames=0"]
    assert sorted([*consoles, f"root={values['ROOTPART']}", *extra, *hook]) == sorted(plan.kernel_cmdline.split())


def check_entries_are_corrected(correct: tuple[str, ...], entry: Path) -> None:
    """Assert what a command makes of an entry as bookworm's kernel-install writes it, and leaves of one by trixie's."""
    *argv, first, second = correct
    assert [Path(name).name for name in (first, second)] == ["boardwright-6.12.1.conf", "boardwright-6.12.2.conf"]
    options = "options    root=PARTUUID=1 linux /boot/efi/\n"
    for found in ("linux      /boot/efi/boardwright/1/linux\ninitrd     /boot/efi/boardwright/1/i\n", ""):
        entry.write_text(options + (found or entry.read_text().removeprefix(options)))
        run([*argv, entry])
        assert entry.read_text() == f"{options}linux      /boardwright/1/linux\ninitrd     /boardwright/1/i\n"


@pytest.mark.parametrize("board", ["qemu-amd64", "qemu-arm64"])
def test_efi(tmp_path: Path, plan_real: PlanReal, board: str) -> None:
    plan = plan_real(board)
    install, *kernels, correct = prepare_boot(plan, _tree(tmp_path, plan))
    assert (tmp_path / "etc/kernel/cmdline").read_text() == plan.kernel_cmdline + "\n"
    assert (tmp_path / "etc/kernel/install.conf").read_text() == "layout=bls\n"
    assert (tmp_path / "etc/kernel/entry-token").read_text() == "boardwright\n"
    assert (tmp_path / "boot/efi/loader/loader.conf").is_file()
    assert install.argv == ("bootctl", "install", "--no-variables")
    check_entries_are_corrected(correct.argv, tmp_path / "entry")
    assert [command.argv[1:] for command in kernels] == [
        ("add", "6.12.1", "/boot/vmlinuz-6.12.1", "/boot/initrd.img-6.12.1"),
        ("add", "6.12.2", "/boot/vmlinuz-6.12.2", "/boot/initrd.img-6.12.2"),
    ]


def _as_extlinux(plan: Plan, device_tree: str | None = None) -> Plan:
    boot = plan.recipe.boot.model_copy(update={"method": "extlinux", "config": {}, "device_tree": device_tree})
    return replace(plan, recipe=plan.recipe.model_copy(update={"boot": boot}))


def test_extlinux(tmp_path: Path, plan_real: PlanReal) -> None:
    plan = _as_extlinux(plan_real("rpi"), "allwinner/sun8i-h3-orangepi-pc.dtb")
    (command,) = prepare_boot(plan, _tree(tmp_path, plan))
    assert command.argv == ("u-boot-update",)
    values = _shell_values(tmp_path / "etc/default/u-boot")
    assert values["U_BOOT_ROOT"] == f"root=PARTUUID={plan.disk.id}-02"
    assert f"{values['U_BOOT_ROOT']} {values['U_BOOT_PARAMETERS']}" == plan.kernel_cmdline
    assert values["U_BOOT_FDT"] == "allwinner/sun8i-h3-orangepi-pc.dtb"


def test_extlinux_lets_u_boot_choose_the_device_tree(tmp_path: Path, plan_real: PlanReal) -> None:
    plan = _as_extlinux(plan_real("rpi"))
    prepare_boot(plan, _tree(tmp_path, plan))
    assert "U_BOOT_FDT" not in _shell_values(tmp_path / "etc/default/u-boot")


@pytest.mark.parametrize(
    ("board", "package"), [("rpi", "raspi-firmware"), ("qemu-amd64", "systemd-boot"), ("extlinux", "u-boot-menu")]
)
def test_a_boot_program_that_is_missing(tmp_path: Path, plan_real: PlanReal, board: str, package: str) -> None:
    plan = _as_extlinux(plan_real("rpi")) if board == "extlinux" else plan_real(board)
    with pytest.raises(RecipeError, match="which the image lacks") as caught:
        prepare_boot(plan, tmp_path)
    assert find_boot_program(plan).path in caught.value.message
    assert package in caught.value.hint


def test_a_boot_program_of_this_machine_does_not_count(tmp_path: Path, plan_real: PlanReal) -> None:
    """An absolute link in the tree means a file of the tree."""
    plan = plan_real("qemu-amd64")
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/bootctl").symlink_to("/bin/sh")
    with pytest.raises(RecipeError, match="which the image lacks"):
        prepare_boot(plan, tmp_path)


def test_no_kernel(tmp_path: Path, plan_real: PlanReal) -> None:
    plan = plan_real("rpi")
    with pytest.raises(RecipeError, match="boards/rpi: no kernel was installed") as caught:
        find_kernels(plan, _tree(tmp_path, plan, kernels=()))
    assert "kernel.packages" in caught.value.hint
