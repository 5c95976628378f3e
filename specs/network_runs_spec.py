# SPDX-License-Identifier: MIT
"""The network is up, and only what should listen does."""

import pytest
from testinfra.host import Host

from builder.plan.model import Plan
from builder.recipe.expect import Expected
from builder.verify.facts.image import Subject
from builder.verify.live.ssh import Running
from builder.verify.live.system import System

pytestmark = pytest.mark.level("booted")


def test_there_is_a_way_out(host: Host) -> None:
    assert host.check_output("ip route show default").startswith("default via ")


def test_the_network_is_online(host: Host) -> None:
    assert "online" in host.check_output("networkctl status --no-pager | grep -i 'online state'")


@pytest.mark.needs("package:openssh-server")
def test_ssh_listens_to_the_network(system: System) -> None:
    assert any(each.port == 22 and not each.is_local for each in system.listeners)


@pytest.mark.needs("package:avahi-daemon")
def test_avahi_listens_to_the_network(system: System) -> None:
    assert {each.program for each in system.listeners if each.port == 5353} == {"avahi-daemon"}


def test_resolved_answers_this_system_only(system: System) -> None:
    assert all(each.is_local for each in system.listeners if each.port == 53)


def test_what_listens_to_the_network_is_a_unit_of_a_package_or_asked_for(
    system: System, image: Subject, plan: Plan
) -> None:
    asked = {each.name for each in plan.expected if each.kind == "listening"}
    others = [each for each in system.listeners if not each.is_local and f"{each.protocol}/{each.port}" not in asked]
    own = [each for each in others if system.find_unit_file(each.unit) not in image.owners]
    assert [
        f"{each.program}; to allow it: expect: {{listening: {{{each.protocol}/{each.port}: WHY}}}}" for each in own
    ] == []


def test_what_is_expected_listens(system: System, expected_port: Expected) -> None:
    assert expected_port.name in {f"{each.protocol}/{each.port}" for each in system.listeners}


@pytest.mark.needs("package:avahi-daemon")
def test_avahi_answers_for_the_host_name(host: Host, running: Running) -> None:
    assert f"{running.hostname}.local" in host.check_output(f"getent hosts {running.hostname}.local")


@pytest.mark.needs("package:avahi-daemon")
def test_avahi_publishes_the_host_name(host: Host, running: Running) -> None:
    assert f"Host name is {running.hostname}.local" in host.check_output("sudo journalctl --unit avahi-daemon --boot")


def test_localhost_is_known(host: Host) -> None:
    assert host.check_output("getent ahostsv4 localhost").startswith("127.0.0.1")


def test_sshd_asks_for_keys_only(host: Host) -> None:
    assert "permitemptypasswords no" in host.check_output("sudo sshd -T")
