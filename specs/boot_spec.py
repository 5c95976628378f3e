# SPDX-License-Identifier: MIT
"""The image has all files that a board reads from power-on to the start of the kernel."""

import re

import pytest

from builder.plan.model import Plan
from builder.verify.facts.compare import find_difference
from builder.verify.facts.image import ImageFacts
from builder.verify.parametrize import laid_files


def test_the_boot_chain_finds_a_file(image: ImageFacts, boot_file: str) -> None:
    assert image.file(f"{image.boot_mount}/{boot_file}").size > 0


def test_the_boot_loader_names_a_kernel_that_is_there(image: ImageFacts) -> None:
    assert image.file(image.boot_entry.kernel).is_file


def test_the_boot_loader_names_an_initrd_that_is_there(image: ImageFacts) -> None:
    assert image.file(image.boot_entry.initrd).is_file


def test_the_kernel_that_boots_is_the_installed_one(image: ImageFacts) -> None:
    assert find_difference(image.started_kernel, image.file(image.kernel_file).content) == ""


def test_the_initrd_that_boots_is_the_installed_one(image: ImageFacts) -> None:
    installed = image.file(f"/boot/initrd.img-{image.kernel}").content
    assert find_difference(image.unwrapped(image.boot_entry.initrd), installed) == ""


def test_users_find_the_boot_partition_below_boot_firmware(image: ImageFacts) -> None:
    copy, original = image.file("/boot/firmware/os-release").content, image.file("/etc/os-release").content
    assert find_difference(copy, original) == ""


@pytest.mark.needs("raspi")
def test_config_txt_has_a_line_of_the_recipe(image: ImageFacts, config_line: str) -> None:
    assert config_line in image.file("/boot/firmware/config.txt").lines


@pytest.mark.needs("raspi", "arm64")
def test_config_txt_starts_a_64_bit_kernel(image: ImageFacts) -> None:
    assert "arm_64bit=1" in image.file("/boot/firmware/config.txt").lines


@pytest.mark.needs("raspi", "serial")
def test_config_txt_switches_the_serial_port_on(image: ImageFacts) -> None:
    assert "enable_uart=1" in image.file("/boot/firmware/config.txt").lines


@pytest.mark.needs("raspi")
def test_cmdline_txt_is_one_line(image: ImageFacts) -> None:
    assert len(image.file("/boot/firmware/cmdline.txt").lines) == 1


@pytest.mark.needs("raspi")
def test_the_firmware_is_that_of_its_package(image: ImageFacts) -> None:
    delivered = image.tree.glob("/usr/lib/raspi-firmware/*.*")
    assert delivered
    assert [entry.path for entry in delivered if image.file(entry.path).content != image.on_boot(entry.path)] == []


@pytest.mark.needs("raspi")
def test_the_device_trees_are_those_of_the_kernel(image: ImageFacts) -> None:
    trees = image.tree.glob("/boot/firmware/*.dtb")
    assert trees
    delivered = {entry.path: image.device_trees[entry.path.rpartition("/")[2]] for entry in trees}
    assert [entry.path for entry in trees if entry.read() != image.file(delivered[entry.path]).content] == []


@pytest.mark.needs("raspi", "gpio", "since-trixie")
def test_there_are_overlays(image: ImageFacts) -> None:
    assert image.tree.glob("/boot/firmware/overlays/*.dtbo")


@pytest.mark.needs("raspi")
def test_overlays_of_the_firmware_are_those_of_its_package(image: ImageFacts) -> None:
    """An overlay can change the kernel's command line, too."""
    top = "/usr/lib/raspi-firmware"
    delivered = image.tree.glob(f"{top}/overlays/*.dtbo")
    copies = {entry.path: entry.path.replace(top, "/boot/firmware") for entry in delivered}
    assert [copy for path, copy in copies.items() if image.file(path).content != image.file(copy).content] == []


@pytest.mark.needs("efi")
def test_the_boot_menu_has_an_entry_for_each_kernel(image: ImageFacts) -> None:
    assert len(image.tree.glob(f"{image.boot_mount}/loader/entries/*.conf")) == len(image.kernels)


@pytest.mark.needs("efi")
def test_the_boot_menu_waits_a_second_at_most(image: ImageFacts) -> None:
    timeout = re.search(r"^timeout (\d+)$", image.file(f"{image.boot_mount}/loader/loader.conf").content_string, re.M)
    assert timeout
    assert int(timeout[1]) <= 1


@pytest.mark.needs("efi")
def test_the_removable_path_is_systemd_boot(image: ImageFacts) -> None:
    removable = image.tree.glob(f"{image.boot_mount}/EFI/BOOT/BOOT*.EFI")
    installed = image.tree.glob(f"{image.boot_mount}/EFI/systemd/systemd-boot*.efi")
    assert [entry.read() for entry in removable] == [entry.read() for entry in installed]


@pytest.mark.needs("efi")
def test_systemd_boot_is_that_of_its_package(image: ImageFacts) -> None:
    delivered = [entry.read() for entry in image.tree.glob("/usr/lib/systemd/boot/efi/systemd-boot*.efi*")]
    installed = image.tree.glob(f"{image.boot_mount}/EFI/systemd/systemd-boot*.efi")
    assert [entry.path for entry in installed if entry.read() not in delivered] == []


@pytest.mark.needs("efi")
def test_kernel_upgrades_keep_the_command_line(image: ImageFacts) -> None:
    assert image.file("/etc/kernel/cmdline").content_string.split() == image.cmdline


@pytest.mark.needs("efi")
def test_kernel_upgrades_keep_the_entry_name(image: ImageFacts) -> None:
    assert image.file("/etc/kernel/entry-token").content_string == "boardwright\n"


@pytest.mark.needs("raspi")
def test_kernel_upgrades_keep_the_root_partition(image: ImageFacts) -> None:
    root = image.partition_at("/")
    assert f'ROOTPART="PARTUUID={root.partuuid}"' in image.file("/etc/default/raspi-firmware").lines


@pytest.mark.needs("extlinux")
def test_u_boot_finds_the_device_tree_of_the_kernel(image: ImageFacts, device_tree: str) -> None:
    tree = f"/usr/lib/linux-image-{image.kernel}/{device_tree}"
    assert f"fdt {tree}" in [line.strip() for line in image.file("/boot/extlinux/extlinux.conf").lines]
    assert image.file(tree).is_file


@pytest.mark.needs("extlinux")
def test_u_boot_looks_on_the_root_partition_first(image: ImageFacts) -> None:
    assert image.partition_at("/").bootable


@pytest.mark.needs("extlinux")
def test_kernel_upgrades_keep_the_root_partition_of_extlinux(image: ImageFacts) -> None:
    root = image.partition_at("/")
    assert f'U_BOOT_ROOT="root=PARTUUID={root.partuuid}"' in image.file("/etc/default/u-boot").lines


@pytest.mark.needs("extlinux")
def test_u_boot_update_reads_no_file_of_elsewhere(image: ImageFacts, plan: Plan) -> None:
    patterns = ("/etc/u-boot-menu/conf.d/*", "/usr/share/u-boot-menu/conf.d/*")
    known = {*image.listed_files, *laid_files(plan)}
    assert [entry.path for pattern in patterns for entry in image.tree.glob(pattern) if entry.path not in known] == []


@pytest.mark.needs("flash-kernel")
def test_the_device_tree_is_that_of_the_kernel(image: ImageFacts, device_tree: str) -> None:
    delivered = image.file(image.device_trees[device_tree.rpartition("/")[2]])
    assert find_difference(image.on_boot(device_tree), delivered.content) == ""


@pytest.mark.needs("flash-kernel")
def test_the_script_for_u_boot_has_no_gap(image: ImageFacts, boot_script: str) -> None:
    assert "{" not in image.file(f"/boot/firmware/{boot_script}").content_string


@pytest.mark.needs("flash-kernel")
def test_kernel_upgrades_know_the_board(image: ImageFacts) -> None:
    name = image.file("/etc/flash-kernel/machine").content_string.strip()
    assert f"Machine: {name}" in image.file("/etc/flash-kernel/db").lines


def test_kernel_upgrades_read_what_the_build_wrote(image: ImageFacts, boot_config: tuple[str, str]) -> None:
    path, text = boot_config
    assert find_difference(image.file(path).content, text.encode()) == ""


def test_kernel_upgrades_write_the_boot_files(image: ImageFacts, upgrade_hook: str) -> None:
    assert image.file(upgrade_hook).mode & 0o111
