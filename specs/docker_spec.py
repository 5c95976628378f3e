# SPDX-License-Identifier: MIT
"""Docker is installed completely and starts at boot."""

import json

import pytest

from builder.verify.facts.image import ImageFacts

pytestmark = pytest.mark.needs("docker")


def test_a_program_of_docker_is_there(image: ImageFacts, docker_program: str) -> None:
    assert image.is_program(docker_program)


def test_a_program_of_docker_can_be_run_by_all_and_changed_by_root(image: ImageFacts, docker_program: str) -> None:
    file = image.file(docker_program)
    assert (file.mode, file.user) == (0o755, "root")


def test_the_daemon_is_there(image: ImageFacts) -> None:
    assert image.find_program("dockerd")


def test_containers_are_run_by_runc(image: ImageFacts) -> None:
    assert image.find_program("runc")


def test_ports_are_published_by_the_proxy(image: ImageFacts) -> None:
    assert image.find_program("docker-proxy")


def test_containers_get_an_init_if_they_want(image: ImageFacts) -> None:
    assert image.find_program("docker-init")


def test_compose_is_a_plugin(image: ImageFacts) -> None:
    assert image.find_program("docker-compose", "/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins")


def test_the_packet_filter_is_there(image: ImageFacts) -> None:
    assert image.find_program("iptables")


def test_the_socket_starts_at_boot(image: ImageFacts) -> None:
    assert image.units.is_enabled("docker.socket")


def test_containerd_starts_at_boot(image: ImageFacts) -> None:
    assert image.units.is_enabled("containerd.service")


def test_the_socket_is_for_the_group(image: ImageFacts) -> None:
    lines = image.file("/usr/lib/systemd/system/docker.socket").lines
    assert {"SocketMode=0660", "SocketUser=root", "SocketGroup=docker"} <= set(lines)


def test_the_group_exists(image: ImageFacts) -> None:
    assert "docker" in image.groups


def test_the_unit_of_the_socket_is_roots(image: ImageFacts) -> None:
    file = image.file("/usr/lib/systemd/system/docker.socket")
    assert (file.mode, file.user) == (0o644, "root")


def test_the_configuration_is_valid_if_there_is_one(image: ImageFacts) -> None:
    assert isinstance(json.loads(image.file("/etc/docker/daemon.json").content_string or "{}"), dict)


def test_the_command_line_is_completed(image: ImageFacts) -> None:
    assert image.file("/usr/share/bash-completion/completions/docker").size > 0
