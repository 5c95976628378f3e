# SPDX-License-Identifier: MIT
"""Host name, language, time and version are those of the recipe."""

import pytest

from builder.plan.model import Plan
from builder.recipe.model import Recipe
from builder.verify.facts.image import ImageFacts


def test_the_host_has_the_name_of_the_recipe(image: ImageFacts, board: Recipe) -> None:
    assert image.file("/etc/hostname").content_string == f"{board.hostname}\n"


def test_the_host_knows_itself(image: ImageFacts, board: Recipe) -> None:
    assert f"127.0.1.1 {board.hostname}" in image.file("/etc/hosts").lines


def test_localhost_is_known(image: ImageFacts) -> None:
    assert "127.0.0.1 localhost" in image.file("/etc/hosts").lines


def test_the_language_is_that_of_the_recipe(image: ImageFacts, board: Recipe) -> None:
    assert image.file("/etc/default/locale").lines == [f"LANG={board.locale}"]


def test_the_language_is_generated(image: ImageFacts, board: Recipe) -> None:
    assert board.locale == "C.UTF-8" or image.file("/usr/lib/locale/locale-archive").size > 0


def test_the_language_is_generated_again_after_an_upgrade(image: ImageFacts, board: Recipe) -> None:
    assert image.file("/etc/locale.gen").lines == [f"{board.locale} UTF-8"]


def test_the_time_zone_is_that_of_the_recipe(image: ImageFacts, board: Recipe) -> None:
    assert image.file("/etc/localtime").target == f"../usr/share/zoneinfo/{board.timezone}"


def test_the_time_zone_is_known(image: ImageFacts) -> None:
    assert image.file("/etc/localtime").content.startswith(b"TZif")


def test_a_board_without_a_clock_starts_at_the_time_of_the_build(image: ImageFacts, plan: Plan) -> None:
    assert image.file("/usr/lib/clock-epoch").mtime == plan.epoch


def test_the_image_is_debian(image: ImageFacts) -> None:
    assert image.os_release["ID"] == "debian"


def test_the_image_is_of_the_suite_of_the_recipe(image: ImageFacts, board: Recipe) -> None:
    assert image.os_release["VERSION_CODENAME"] == board.suite


def test_the_image_says_a_fact_of_itself(image: ImageFacts, release_key: str, release: dict[str, str]) -> None:
    assert image.os_release[release_key] == release[release_key]


def test_packages_do_not_overwrite_the_version(image: ImageFacts) -> None:
    assert "/etc/os-release" in image.file("/var/lib/dpkg/diversions").content_string.split("\n")


def test_the_shell_of_scripts_is_dash(image: ImageFacts) -> None:
    assert image.tree.find("/bin/sh") == image.tree.find("/usr/bin/dash")


def test_the_first_process_is_systemd(image: ImageFacts) -> None:
    assert image.tree.find("/sbin/init") == image.tree.find("/usr/lib/systemd/systemd")


def test_libraries_are_found_without_searching(image: ImageFacts) -> None:
    assert image.file("/etc/ld.so.cache").size > 0


@pytest.mark.needs("package:ca-certificates")
def test_certificates_of_the_web_are_known(image: ImageFacts) -> None:
    assert image.file("/etc/ssl/certs/ca-certificates.crt").content_string.count("BEGIN CERTIFICATE") > 100


@pytest.mark.needs("package:libnss-mdns")
def test_names_of_the_local_network_are_found(image: ImageFacts) -> None:
    hosts = next(line for line in image.file("/etc/nsswitch.conf").lines if line.startswith("hosts:"))
    assert "mdns4_minimal" in hosts


def test_logs_outlive_a_reboot(image: ImageFacts) -> None:
    assert image.file("/var/log/journal").is_directory


def test_there_is_no_network_of_ifupdown(image: ImageFacts) -> None:
    assert image.tree.glob("/etc/network/interfaces*") == []


def test_no_network_is_configured_beforehand(image: ImageFacts) -> None:
    assert [entry.path for entry in image.tree.glob("/etc/netplan/*")] == []


def test_only_one_answers_for_names_of_the_local_network(image: ImageFacts) -> None:
    assert "MulticastDNS=no" in image.file("/etc/systemd/resolved.conf.d/no-mdns.conf").lines


@pytest.mark.needs("package:openssh-server")
def test_ssh_does_not_let_root_in_by_password(image: ImageFacts) -> None:
    assert [line for line in image.sshd_lines if line.lower().startswith("permitrootlogin yes")] == []


@pytest.mark.needs("package:openssh-server")
def test_ssh_lets_nobody_in_without_a_password(image: ImageFacts) -> None:
    assert [line for line in image.sshd_lines if line.lower() == "permitemptypasswords yes"] == []


@pytest.mark.needs("package:openssh-server")
def test_ssh_makes_its_keys_also_without_cloud_init(image: ImageFacts) -> None:
    lines = image.file("/etc/systemd/system/ssh.service.d/host-keys.conf").lines
    assert "ExecStartPre=/usr/bin/ssh-keygen -A" in lines


@pytest.mark.needs("package:openssh-server")
def test_files_are_copied_over_ssh(image: ImageFacts) -> None:
    assert "Subsystem\tsftp\t/usr/lib/openssh/sftp-server" in image.sshd_lines
    assert image.is_program("/usr/lib/openssh/sftp-server")


@pytest.mark.needs("wifi")
def test_the_radio_rules_of_countries_are_known(image: ImageFacts) -> None:
    assert image.file("/usr/lib/firmware/regulatory.db").size > 0
