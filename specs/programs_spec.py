# SPDX-License-Identifier: MIT
"""Programs of the image start, with the libraries of the image."""

from collections.abc import Callable

import pytest

from builder.recipe.model import Recipe
from builder.system.process import Result

pytestmark = pytest.mark.level("chroot")
Call = Callable[..., Result]


def test_a_shell_starts(call: Call) -> None:
    assert call("sh", "-c", "echo $((6 * 7))").stdout == "42\n"


def test_the_processor_is_that_of_the_recipe(call: Call, board: Recipe) -> None:
    assert call("dpkg", "--print-architecture").stdout == f"{board.architecture}\n"


def test_python_starts(call: Call) -> None:
    assert call("python3", "-c", "import ssl, json; print(ssl.OPENSSL_VERSION)").stdout.startswith("OpenSSL 3")


def test_cloud_init_starts(call: Call) -> None:
    assert call("cloud-init", "--version").code == 0


def test_the_users_are_known(call: Call, user: str) -> None:
    assert call("id", "--name", "--user", user).stdout == f"{user}\n"


def test_sudo_finds_no_fault_in_its_files(call: Call) -> None:
    checked = call("visudo", "--check", "--strict")
    assert checked.code == 0, checked.stderr


def test_the_language_is_there(call: Call, board: Recipe) -> None:
    names = call("locale", "--all-locales").stdout.lower().replace("-", "").split()
    assert board.locale.lower().replace("-", "") in names


def test_dpkg_finds_nothing_half_done(call: Call) -> None:
    assert call("dpkg", "--audit").stdout == ""


def test_apt_reads_its_sources(call: Call) -> None:
    checked = call("apt-cache", "policy")
    assert checked.code == 0, checked.stderr


@pytest.mark.needs("docker")
def test_docker_starts(call: Call) -> None:
    assert call("docker", "--version").stdout.startswith("Docker version ")


@pytest.mark.needs("docker")
def test_compose_starts(call: Call) -> None:
    assert call("docker", "compose", "version", "--short").stdout.lstrip("v").startswith(("2.", "3.", "4.", "5."))


@pytest.mark.needs("docker")
def test_the_daemon_starts(call: Call) -> None:
    assert call("dockerd", "--version").stdout.startswith("Docker version ")


@pytest.mark.needs("docker")
def test_containerd_and_runc_start(call: Call) -> None:
    assert call("containerd", "--version").code == 0
    assert call("runc", "--version").code == 0
