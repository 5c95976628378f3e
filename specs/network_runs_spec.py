# SPDX-License-Identifier: MIT
"""The network is up, and only expected programs listen."""

import pytest
from testinfra.host import Host

from builder.plan.model import Plan
from builder.recipe.expect import Expected
from builder.verify.facts.image import ImageFacts
from builder.verify.live.ssh import Running
from builder.verify.live.system import System

pytestmark = pytest.mark.level("booted")


def test_there_is_a_way_out(host: Host) -> None:
    assert host.check_output("ip route show default").startswith("default via ")


def test_the_network_is_online(host: Host) -> None:
    assert "online" in host.check_output("networkctl status --no-pager | grep -i 'online state'")


@pytest.mark.needs("package:openssh-server")
def test_ssh_listens_to_the_network(system: System) -> None:
    assert any(listener.port == 22 and not listener.is_local for listener in system.listeners)


@pytest.mark.needs("package:avahi-daemon")
def test_avahi_listens_to_the_network(system: System) -> None:
    assert {listener.program for listener in system.listeners if listener.port == 5353} == {"avahi-daemon"}


def test_resolved_answers_this_system_only(system: System) -> None:
    assert all(listener.is_local for listener in system.listeners if listener.port == 53)


def test_what_listens_to_the_network_is_a_unit_of_a_package_or_asked_for(
    system: System, image: ImageFacts, plan: Plan
) -> None:
    asked = {row.name for row in plan.expected if row.kind == "listening"}
    outside = [listener for listener in system.listeners if not listener.is_local]
    ports = [(f"{listener.protocol}/{listener.port}", listener) for listener in outside]
    others = [(port, listener) for port, listener in ports if port not in asked]
    assert [
        f"{listener.program}; to allow it: expect: {{listening: {{{port}: WHY}}}}"
        for port, listener in others
        if system.find_unit_file(listener.unit) not in image.owners
    ] == []


def test_what_is_expected_listens(system: System, expected_port: Expected) -> None:
    assert expected_port.name in {f"{listener.protocol}/{listener.port}" for listener in system.listeners}


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
