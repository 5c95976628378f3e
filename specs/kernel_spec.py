# SPDX-License-Identifier: MIT
"""Kernel, modules and initrd have the same version, and the kernel supports Docker and the hardware."""

import pytest

from builder.recipe.model import Recipe
from builder.verify.facts.compare import find_difference
from builder.verify.facts.image import ImageFacts


def test_there_is_no_more_than_one_kernel_for_each_package_of_the_recipe(image: ImageFacts, board: Recipe) -> None:
    assert 1 <= len(image.kernels) <= max(1, len(board.kernel.packages) + len(board.kernel.debs))


def test_each_kernel_has_its_initrd(image: ImageFacts) -> None:
    assert set(image.initrds) == {f"/boot/initrd.img-{kernel}" for kernel in image.kernels}


def test_each_kernel_has_its_directory_of_modules(image: ImageFacts) -> None:
    directories = {entry.path for entry in image.tree.glob("/usr/lib/modules/*")}
    assert directories == {f"/usr/lib/modules/{kernel}" for kernel in image.kernels}


def test_the_initrd_has_modules_of_that_kernel_only(image: ImageFacts) -> None:
    versions = {
        path.split("/")[3] for path in image.initrd if path.startswith("usr/lib/modules/") and path.count("/") > 2
    }
    assert versions <= {image.kernel}


def test_every_module_that_modprobe_knows_is_there(image: ImageFacts) -> None:
    assert [path for path in image.modules.values() if not image.file(path).is_file] == []


@pytest.mark.needs("distribution-kernel")
def test_there_are_hundreds_of_modules(image: ImageFacts) -> None:
    assert len(image.modules) > 500


def test_the_kernel_says_it_is_that_version(image: ImageFacts) -> None:
    assert image.kernel.encode() in image.kernel_text


def test_the_kernel_is_of_a_package(image: ImageFacts) -> None:
    origins = [path for path in image.kernel_origins if path in image.listed_files]
    installed = image.file(image.kernel_file).content
    assert [find_difference(image.file(path).content, installed) for path in origins] == [""]


@pytest.mark.parametrize(("link", "files"), [("/vmlinuz", "kernel_files"), ("/initrd.img", "initrds")])
def test_a_link_of_the_root_directory_leads_to_one_of_them_if_it_is_there(
    image: ImageFacts, link: str, files: str
) -> None:
    """Debian's own kernels make the links, kernels of `make bindeb-pkg` do not; most boot loaders read neither."""
    entry = image.tree.find(link)
    assert not image.file(link).is_symlink or (entry and entry.path in getattr(image, files))


@pytest.mark.needs("distribution-kernel")
def test_the_configuration_is_there(image: ImageFacts) -> None:
    assert len(image.kernel_options) > 1000


def test_the_kernel_has_a_module(image: ImageFacts, kernel_module: str) -> None:
    assert image.has_module(kernel_module)


def test_the_initrd_finds_the_disk(image: ImageFacts, initrd_module: str) -> None:
    assert image.initrd_has_module(initrd_module)


def test_the_initrd_has_what_it_starts_with(image: ImageFacts) -> None:
    assert {"init", "usr/bin/sh", "usr/bin/mount", "usr/sbin/modprobe"} <= image.initrd.keys()


def test_the_initrd_can_check_the_root_filesystem(image: ImageFacts) -> None:
    assert {"usr/sbin/fsck", "usr/sbin/fsck.ext4", "usr/sbin/logsave"} <= image.initrd.keys()


@pytest.mark.needs("docker")
def test_the_kernel_has_an_option_that_docker_needs(image: ImageFacts, docker_option: str) -> None:
    assert image.kernel_options.get(docker_option) in ("y", "m")


def test_the_kernel_can_be_traced(image: ImageFacts, tracing_option: str) -> None:
    assert image.kernel_options.get(tracing_option) in ("y", "m")


@pytest.mark.needs("docker")
def test_memory_limits_are_switched_on(image: ImageFacts) -> None:
    assert "cgroup_enable=memory" in image.cmdline


def test_a_radio_finds_its_firmware(image: ImageFacts, firmware_file: str) -> None:
    names = (f"/usr/lib/firmware/{firmware_file}{suffix}" for suffix in ("", ".xz", ".zst"))
    assert any(image.file(name).is_file for name in names)
