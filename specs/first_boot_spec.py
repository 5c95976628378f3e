# SPDX-License-Identifier: MIT
"""cloud-init finds its files on the boot partition, and they are valid by its own schema."""

import pytest

from builder.plan.model import Plan
from builder.verify.facts.compare import find_difference
from builder.verify.facts.image import ImageFacts


def test_user_data_starts_as_cloud_init_wants_it(image: ImageFacts) -> None:
    first = image.file("/boot/firmware/user-data").content_string.partition("\n")[0]
    assert first.rstrip() == "#cloud-config"


def test_user_data_is_valid(image: ImageFacts) -> None:
    assert image.cloud.find_user_data_faults("/boot/firmware/user-data") == []


def test_user_data_is_that_of_the_build(image: ImageFacts, plan: Plan) -> None:
    laid = image.file("/boot/firmware/user-data").content
    assert find_difference(laid, plan.user_data.read_bytes() if plan.user_data else laid) == ""


def test_meta_data_names_the_instance(image: ImageFacts) -> None:
    assert image.cloud.load("/boot/firmware/meta-data")["instance-id"]


def test_network_config_is_valid(image: ImageFacts) -> None:
    assert image.cloud.find_network_faults("/boot/firmware/network-config") == []


@pytest.mark.needs("ethernet")
def test_a_cable_gets_an_address_by_itself_where_it_is_configured(image: ImageFacts) -> None:
    content = image.cloud.load("/boot/firmware/network-config")
    ethernets = content.get("network", content).get("ethernets", {})
    assert not ethernets or any(row.get("dhcp4") or row.get("addresses") for row in ethernets.values())


def test_the_system_configuration_is_read(image: ImageFacts) -> None:
    assert image.cloud.load("/etc/cloud/cloud.cfg.d/90_boardwright.cfg")["manage_etc_hosts"] is True


def test_cloud_init_looks_nowhere_else(image: ImageFacts) -> None:
    # ds-identify reads this with a line-based parser.
    assert "datasource_list: [NoCloud]" in image.file("/etc/cloud/cloud.cfg.d/90_boardwright.cfg").lines


def test_cloud_init_looks_on_the_boot_partition(image: ImageFacts) -> None:
    source = image.cloud.load("/etc/cloud/cloud.cfg.d/90_boardwright.cfg")["datasource"]["NoCloud"]
    assert source == {"seedfrom": "file:///boot/firmware/"}


@pytest.mark.needs("users")
def test_user_data_is_about_the_first_user(image: ImageFacts, plan: Plan) -> None:
    config = image.cloud.load("/etc/cloud/cloud.cfg.d/90_boardwright.cfg")
    assert config["system_info"]["default_user"]["name"] == next(iter(plan.recipe.users))


@pytest.mark.needs("users")
def test_the_first_user_stays_without_a_password(image: ImageFacts) -> None:
    config = image.cloud.load("/etc/cloud/cloud.cfg.d/90_boardwright.cfg")
    assert config["system_info"]["default_user"]["lock_passwd"] is True


def test_cloud_init_waits_for_the_boot_partition(image: ImageFacts) -> None:
    lines = image.file("/etc/systemd/system/cloud-init-local.service.d/boot-partition.conf").lines
    assert "After=local-fs.target" in lines


def test_cloud_init_is_not_switched_off(image: ImageFacts) -> None:
    assert not image.file("/etc/cloud/cloud-init.disabled").exists
    assert "cloud-init=disabled" not in image.cmdline


def test_no_instance_has_run(image: ImageFacts) -> None:
    assert image.tree.glob("/var/lib/cloud/instances/*") == []


def test_cloud_init_does_a_thing_that_is_promised(image: ImageFacts, first_boot_module: str) -> None:
    assert first_boot_module in image.cloud.modules


def test_no_password_is_in_the_example(image: ImageFacts, plan: Plan) -> None:
    keys = ("password:", "passwd:", "hashed_passwd:", "plain_text_passwd:")
    lines = image.file("/boot/firmware/user-data").lines
    assert plan.user_data or [line for line in lines if line.startswith(keys)] == []
