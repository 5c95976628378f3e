# SPDX-License-Identifier: MIT
"""After a restart the system has the same identity, and all services start again."""

import pytest

from builder.verify.live.containers import SENTENCE, Containers
from builder.verify.live.system import System

pytestmark = pytest.mark.level("booted")


def test_it_was_started_again(restarted: System, system: System) -> None:
    assert restarted.boot_id != system.boot_id


def test_the_machine_id_stays(restarted: System, system: System) -> None:
    assert restarted.machine_id == system.machine_id


def test_the_ssh_host_keys_stay(restarted: System, system: System) -> None:
    assert restarted.host_keys == system.host_keys


def test_the_second_boot_ends_well(restarted: System) -> None:
    assert restarted.state == "running"


def test_no_unit_failed_this_time(restarted: System) -> None:
    assert restarted.failed_units == []


def test_cloud_init_has_nothing_to_say(restarted: System) -> None:
    assert restarted.cloud_init["extended_status"] == "done"


def test_the_kernel_complains_of_nothing(restarted: System) -> None:
    assert restarted.kernel_trouble == []


@pytest.mark.needs("docker")
def test_containers_come_back(restarted: System, services: Containers) -> None:
    assert services.fetch() == SENTENCE
