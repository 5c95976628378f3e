# SPDX-License-Identifier: MIT
"""The built virtual machines boot by their own boot chain, and what the recipe promises is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from builder.recipe.load import load_board
from builder.verify.qemu import Machine, started, wait_for_port
from tests.chain.conftest import EPOCH, HOSTNAME, VERSION, Built
from tests.conftest import ROOT

pytestmark = [pytest.mark.boot, pytest.mark.engine, pytest.mark.slow]

BOOT_TIMEOUT_S = 900.0
"""Arm on an x86 machine is emulated: two minutes on a quiet machine, several on a busy one."""


@dataclass(frozen=True)
class Booted:
    """A running system: its machine, and a way to ask it."""

    machine: Machine
    host: Host


@pytest.fixture(scope="module", params=["qemu_amd64", "qemu_arm64"])
def booted(request: pytest.FixtureRequest, ssh_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    built: Built = request.getfixturevalue(request.param)
    recipe = load_board(ROOT / "boards", built.board).recipe
    with started(recipe, built.file(".img"), work=tmp_path_factory.mktemp("boot")) as machine:
        wait_for_port(machine, timeout_s=BOOT_TIMEOUT_S)
        yield Booted(
            machine,
            testinfra.get_host(
                f"ssh://pirate@127.0.0.1:{machine.ssh_port}",
                ssh_identity_file=str(ssh_key),
                ssh_extra_args="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=60",
            ),
        )


def test_first_boot_is_whole(booted: Booted) -> None:
    status = booted.host.run("cloud-init status --wait --long")
    assert status.rc == 0, status.stdout + booted.machine.tail()
    assert "status: done" in status.stdout
    assert booted.host.check_output("systemctl is-system-running --wait || true") == "running", (
        booted.host.check_output("systemctl --failed --no-legend")
    )


def test_a_login_prompt_stands_on_the_console(booted: Booted) -> None:
    assert f"{HOSTNAME} login:" in booted.machine.console.read_text(errors="replace")


def test_user_data_is_obeyed(booted: Booted) -> None:
    assert booted.host.check_output("hostname") == HOSTNAME
    assert {"sudo", "docker"} <= set(booted.host.check_output("id --groups --name").split())
    assert booted.host.check_output("sudo --non-interactive whoami") == "root"


def test_docker_is_ready(booted: Booted) -> None:
    assert booted.host.check_output("docker info --format '{{.Driver}} {{.CgroupVersion}}'") == "overlay2 2"
    assert "WARNING" not in booted.host.run("docker info").stderr
    assert booted.host.check_output("docker compose version --short").startswith("2.")


def test_the_root_filesystem_has_grown(booted: Booted) -> None:
    assert int(booted.host.check_output("df --output=size --block-size=1G / | tail -n 1")) >= 14


def test_keys_and_ids_are_of_this_machine(booted: Booted) -> None:
    assert len(booted.host.file("/etc/machine-id").content_string.strip()) == 32
    assert booted.host.file("/etc/ssh/ssh_host_ed25519_key").exists


def test_the_clock_is_not_before_the_image(booted: Booted) -> None:
    assert int(booted.host.check_output("date +%s")) >= int(EPOCH)
    assert booted.host.service("systemd-timesyncd").is_enabled


def test_the_image_knows_its_version(booted: Booted) -> None:
    assert f"IMAGE_VERSION={VERSION}" in booted.host.check_output("cat /boot/firmware/os-release")


def test_services_listen(booted: Booted) -> None:
    for name in ("avahi-daemon", "ssh", "docker", "systemd-networkd", "systemd-resolved"):
        assert booted.host.service(name).is_running, name


def test_kernel_upgrades_will_find_the_boot_loader(booted: Booted) -> None:
    assert booted.host.check_output("sudo bootctl is-installed") == "yes"
    assert booted.host.check_output("sudo bootctl --print-esp-path") == "/boot/efi"
