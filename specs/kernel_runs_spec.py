# SPDX-License-Identifier: MIT
"""The running kernel is that of the image and has the features that Docker needs."""

import pytest
from testinfra.host import Host

from builder.plan.model import Plan
from builder.recipe.model import Recipe
from builder.verify.live.system import System

pytestmark = pytest.mark.level("booted")

MACHINES = {"arm64": "aarch64", "amd64": "x86_64", "armhf": "armv7l", "riscv64": "riscv64"}


def test_the_kernel_has_its_modules(host: Host) -> None:
    assert host.file(f"/lib/modules/{host.check_output('uname --kernel-release')}/modules.dep").exists


def test_the_kernel_is_the_newest_installed(host: Host) -> None:
    newest = host.check_output("linux-version list | linux-version sort | tail -n 1")
    assert host.check_output("uname --kernel-release") == newest


def test_the_kernel_is_of_the_boards_architecture(host: Host, board: Recipe) -> None:
    assert host.check_output("uname --machine") == MACHINES[board.architecture]


def test_a_word_of_the_command_line_reached_the_kernel(system: System, kernel_word: str) -> None:
    assert kernel_word in system.kernel_cmdline


def test_the_kernel_complains_of_nothing_grave(system: System) -> None:
    assert system.kernel_trouble == []


def test_a_module_loads(system: System, module: str) -> None:
    assert system.try_module(module) == ""


def test_memory_is_counted_by_control_groups(host: Host) -> None:
    assert "memory" in host.file("/sys/fs/cgroup/cgroup.controllers").content_string.split()


def test_control_groups_are_of_version_2(system: System) -> None:
    assert system.mounts["/sys/fs/cgroup"]["fstype"] == "cgroup2"


@pytest.mark.needs("raspi")
def test_the_model_is_a_raspberry_pi(host: Host) -> None:
    assert "Raspberry Pi" in host.file("/proc/device-tree/model").content_string


@pytest.mark.needs("efi")
def test_kernel_upgrades_will_find_the_boot_loader(host: Host, plan: Plan) -> None:
    assert host.check_output("sudo bootctl is-installed && sudo bootctl --print-esp-path") == "yes\n/boot/efi"
