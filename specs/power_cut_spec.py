# SPDX-License-Identifier: MIT
"""The system starts again after a power cut during writes."""

import pytest

from builder.plan.model import Slot
from builder.verify.live.containers import SENTENCE, Containers
from builder.verify.live.system import System

pytestmark = [pytest.mark.level("booted"), pytest.mark.needs("machine")]


def test_it_started_again_by_itself(recovered: System, restarted: System) -> None:
    assert recovered.boot_id != restarted.boot_id


def test_the_journal_of_the_root_filesystem_was_replayed(recovered: System) -> None:
    assert "recover" in recovered.live.ask("sudo dmesg | grep -i ext4; sudo journalctl --boot --grep 'recover' | cat")


def test_what_was_written_for_good_is_whole(recovered: System) -> None:
    assert "boardwright-kept: OK" in recovered.live.ask("cd boardwright-kept.d && sha256sum --check *.sha256")


def test_the_filesystems_have_no_error(recovered: System) -> None:
    assert recovered.kernel_trouble == []


def test_a_slot_can_still_be_written(recovered: System, slot: Slot) -> None:
    assert "rw" in recovered.mounts[slot.mount]["options"].split(",")


def test_it_is_still_the_same_machine(recovered: System, restarted: System) -> None:
    assert (recovered.machine_id, recovered.host_keys) == (restarted.machine_id, restarted.host_keys)


def test_the_boot_ends_well(recovered: System) -> None:
    assert recovered.state == "running"


@pytest.mark.needs("docker")
def test_containers_come_back_again(recovered: System, services: Containers) -> None:
    assert services.fetch() == SENTENCE
