# SPDX-License-Identifier: MIT
"""Docker and containers run; their image is made on the system, without a registry."""

import pytest
from testinfra.host import Host

from builder.units import MIB
from builder.verify.live.containers import INTERFACES, MEMORY, SENTENCE, Containers
from builder.verify.live.ssh import Running
from builder.verify.live.system import System

pytestmark = [pytest.mark.level("booted"), pytest.mark.needs("docker")]


def test_the_daemon_has_started(host: Host) -> None:
    assert "Daemon has completed initialization" in host.check_output("sudo journalctl --unit docker --boot")


def test_the_daemons_socket_is_for_the_group_docker(host: Host) -> None:
    assert host.check_output("stat --format '%F %a %U %G' /run/docker.sock") == "socket 660 root docker"


def test_its_data_is_for_root(host: Host) -> None:
    assert host.check_output("sudo stat --format '%a %U' /var/lib/docker") == "710 root"


def test_client_and_daemon_have_one_version(system: System) -> None:
    assert system.docker_version["Client"]["Version"] == system.docker_version["Server"]["Version"]


def test_layers_are_kept_by_overlay2(system: System) -> None:
    assert system.docker["Driver"] == "overlay2"


def test_control_groups_are_kept_by_systemd(system: System) -> None:
    assert (system.docker["CgroupDriver"], system.docker["CgroupVersion"]) == ("systemd", "2")


def test_the_daemon_warns_of_nothing(system: System) -> None:
    assert not system.docker.get("Warnings")


@pytest.mark.parametrize("limit", ["MemoryLimit", "PidsLimit", "CpuCfsQuota", "CPUSet", "SwapLimit"])
def test_a_limit_can_be_set(system: System, limit: str) -> None:
    assert system.docker[limit]


def test_containers_are_confined_by_seccomp(system: System) -> None:
    assert any("name=seccomp" in option for option in system.docker["SecurityOptions"])


def test_compose_is_a_part_of_docker(host: Host) -> None:
    assert host.check_output("docker compose version --short").startswith("2.")


def test_a_container_runs(containers: Containers, host: Host) -> None:
    assert containers.lone["machine"] == host.check_output("uname --machine")


def test_a_memory_limit_reaches_the_container(containers: Containers) -> None:
    assert containers.lone["files"][MEMORY] == str(64 * MIB)


def test_a_volume_reaches_the_container(containers: Containers, host: Host) -> None:
    assert containers.lone["files"]["/kept/hostname"] == host.check_output("hostname")


def test_a_container_without_network_sees_none(containers: Containers) -> None:
    assert "eth0" not in containers.lone["files"][INTERFACES]


def test_a_container_reaches_its_host(containers: Containers) -> None:
    greeting = containers.run("greet", "gateway", "22", options="--add-host gateway:host-gateway")
    assert greeting.startswith("SSH-2.0")


@pytest.mark.needs("machine")
def test_a_container_reaches_the_network_outside(containers: Containers, running: Running) -> None:
    # 10.0.2.2 is QEMU's router; this port is forwarded from outside to the machine's own sshd.
    assert containers.run("greet", "10.0.2.2", str(running.reach.port)).startswith("SSH-2.0")


def test_compose_brings_up_two_services(services: Containers) -> None:
    assert services.running_services() == {"web", "front"}


def test_one_service_finds_the_other_by_name_and_answers_http(services: Containers) -> None:
    assert services.fetch() == SENTENCE
