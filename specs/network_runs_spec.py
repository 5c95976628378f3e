# SPDX-License-Identifier: MIT
"""The network is up, and only what should listen does."""

import pytest
from testinfra.host import Host

from builder.verify.bench import Running
from builder.verify.system import System

pytestmark = pytest.mark.level("booted")

KNOWN = {("tcp", 22), ("udp", 5353), ("udp", 68), ("udp", 546)}
"""ssh, avahi's two sides and DHCP."""


def test_there_is_a_way_out(host: Host) -> None:
    assert host.check_output("ip route show default").startswith("default via ")


def test_the_network_is_online(host: Host) -> None:
    assert "online" in host.check_output("networkctl status --no-pager | grep -i 'online state'")


def test_ssh_listens_to_the_network(system: System) -> None:
    assert any(each.port == 22 and not each.is_local for each in system.listeners)


def test_avahi_listens_to_the_network(system: System) -> None:
    assert {each.program for each in system.listeners if each.port == 5353} == {"avahi-daemon"}


def test_resolved_answers_this_system_only(system: System) -> None:
    assert all(each.is_local for each in system.listeners if each.port == 53)


def test_nothing_else_listens_to_the_network(system: System) -> None:
    others = [each for each in system.listeners if not each.is_local and each.program != "avahi-daemon"]
    assert {(each.protocol, each.port) for each in others} <= KNOWN


def test_avahi_answers_for_the_host_name(host: Host, running: Running) -> None:
    assert f"{running.hostname}.local" in host.check_output(f"getent hosts {running.hostname}.local")


def test_avahi_publishes_the_host_name(host: Host, running: Running) -> None:
    assert f"Host name is {running.hostname}.local" in host.check_output("sudo journalctl --unit avahi-daemon --boot")


def test_localhost_is_known(host: Host) -> None:
    assert host.check_output("getent ahostsv4 localhost").startswith("127.0.0.1")


def test_sshd_asks_for_keys_only(host: Host) -> None:
    assert "permitemptypasswords no" in host.check_output("sudo sshd -T")
