# SPDX-License-Identifier: MIT
"""The first boot has ended without errors, and the system matches its user-data."""

import pytest
from testinfra.host import Host

from builder.plan.model import Plan, Slot
from builder.recipe.model import Recipe
from builder.units import MIB
from builder.verify.live.ssh import Running
from builder.verify.live.system import System

pytestmark = pytest.mark.level("booted")


def test_cloud_init_is_done(system: System) -> None:
    assert system.cloud_init["status"] == "done"


def test_cloud_init_met_no_error(system: System) -> None:
    assert system.cloud_init["errors"] == []


def test_cloud_init_met_nothing_to_recover_from(system: System) -> None:
    assert system.cloud_init["recoverable_errors"] == {}


def test_cloud_init_read_the_boot_partition(system: System) -> None:
    assert "/boot/firmware/" in system.cloud_init["detail"]


def test_no_unit_failed(system: System) -> None:
    assert system.failed_units == []


def test_the_system_is_running(system: System) -> None:
    assert system.state == "running"


def test_an_enabled_unit_is_active(system: System, enabled_unit: str) -> None:
    assert enabled_unit in system.active_units


def test_a_disabled_unit_is_not_active(system: System, disabled_unit: str) -> None:
    assert disabled_unit not in system.active_units


def test_the_host_name_is_that_of_user_data(host: Host, running: Running) -> None:
    assert host.check_output("hostname") == running.hostname


def test_the_key_of_user_data_lets_the_user_in(host: Host, running: Running) -> None:
    assert host.check_output("whoami") == running.reach.user


@pytest.mark.needs("machine")
def test_the_other_user_of_user_data_exists(host: Host, running: Running) -> None:
    assert host.user(running.other_user).home == f"/home/{running.other_user}"


def test_the_user_is_in_the_groups_of_the_recipe(system: System, board: Recipe, running: Running) -> None:
    assert set(board.users[running.reach.user].groups) <= system.groups


def test_sudo_asks_no_password(host: Host) -> None:
    assert host.check_output("sudo --non-interactive whoami") == "root"


def test_root_has_no_password(host: Host) -> None:
    assert host.check_output("sudo passwd --status root").split()[1] == "L"


def test_the_root_filesystem_fills_the_disk(system: System, plan: Plan) -> None:
    others = sum(slot.sectors or 0 for slot in plan.disk.slots) * 512
    assert system.mounts["/"]["size"] > (system.disk_bytes - others) * 0.95 - 64 * MIB


def test_a_slot_is_mounted_where_planned(system: System, slot: Slot) -> None:
    assert system.mounts[slot.mount]["fstype"] == slot.filesystem.row.linux


def test_a_slot_can_be_written(system: System, slot: Slot) -> None:
    assert "rw" in system.mounts[slot.mount]["options"].split(",")


def test_the_machine_id_is_of_this_machine(system: System) -> None:
    assert len(bytes.fromhex(system.machine_id)) == 16


def test_the_ssh_host_keys_are_made(system: System) -> None:
    assert {key.split()[0] for key in system.host_keys} >= {"ssh-ed25519", "ssh-rsa"}


def test_the_ssh_host_keys_are_named_after_this_machine(host: Host, running: Running) -> None:
    assert host.file("/etc/ssh/ssh_host_ed25519_key.pub").content_string.endswith(f"@{running.hostname}\n")


def test_the_system_knows_its_board(system: System, plan: Plan) -> None:
    assert system.release["BOARDWRIGHT_BOARD"] == plan.board


def test_the_clock_is_not_before_the_image(host: Host, plan: Plan) -> None:
    assert int(host.check_output("date +%s")) >= plan.epoch


def test_the_time_zone_is_that_of_the_recipe(host: Host, board: Recipe) -> None:
    assert host.check_output("timedatectl show --property Timezone --value") == board.timezone


def test_the_locale_is_that_of_the_recipe(host: Host, board: Recipe) -> None:
    assert f"LANG={board.locale}" in host.check_output("localectl status")


@pytest.mark.needs("machine")
def test_a_login_prompt_stands_on_the_console(running: Running) -> None:
    assert running.machine
    assert f"{running.hostname} login:" in running.machine.console


@pytest.mark.needs("machine")
def test_somebody_waits_at_the_serial_console(system: System, board: Recipe) -> None:
    assert board.qemu
    assert f"serial-getty@{board.qemu.console}.service" in system.active_units
