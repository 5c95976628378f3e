# SPDX-License-Identifier: MIT
"""The packages of the recipe and of the build's list are installed completely."""

from collections.abc import Mapping

from builder.plan.model import Plan
from builder.rootfs.model import HELD
from builder.verify.facts.image import ImageFacts
from builder.verify.parametrize import NamedArchive

INSTALLED = ("install ok installed", HELD)


def test_a_package_of_the_recipe_is_installed(image: ImageFacts, package: str) -> None:
    assert package in image.packages
    assert image.packages[package].status in INSTALLED


def test_an_unwanted_package_is_not_installed(image: ImageFacts, unwanted_package: str) -> None:
    assert unwanted_package not in image.packages


def test_no_package_is_left_half_installed_or_removed(image: ImageFacts) -> None:
    assert [package.name for package in image.packages.values() if package.status not in INSTALLED] == []


def test_no_package_is_kept_from_upgrades(image: ImageFacts) -> None:
    image.rights.check_asked("held")


def test_every_package_is_of_the_architecture(image: ImageFacts, plan: Plan) -> None:
    allowed = {"all", plan.recipe.architecture.value}
    assert [package.name for package in image.packages.values() if package.architecture not in allowed] == []


def test_the_packages_are_those_of_the_list(image: ImageFacts, listed_packages: Mapping[str, str]) -> None:
    assert {package.name: package.version for package in image.packages.values()} == dict(listed_packages)


def test_every_file_of_a_package_is_as_delivered(image: ImageFacts) -> None:
    assert [f"{path} {reason}" for path, reason in image.changed_files.items()] == []


def test_programs_in_the_path_are_of_a_package(image: ImageFacts) -> None:
    image.rights.check_asked("programs")


def test_apt_knows_an_archive(image: ImageFacts, archive: NamedArchive) -> None:
    assert f"URIs: {archive.archive.url}" in image.file(archive.path).lines


def test_apt_knows_the_suites_of_an_archive(image: ImageFacts, archive: NamedArchive) -> None:
    assert f"Suites: {' '.join(archive.archive.suites)}" in image.file(archive.path).lines


def test_apt_knows_the_components_of_an_archive(image: ImageFacts, archive: NamedArchive) -> None:
    assert f"Components: {' '.join(archive.archive.components)}" in image.file(archive.path).lines


def test_apt_checks_an_archive_by_its_own_key(image: ImageFacts, archive: NamedArchive) -> None:
    keyring = image.file(archive.path).content_string.partition("Signed-By: ")[2].partition("\n")[0]
    assert image.file(keyring).size > 0


def test_apt_knows_no_other_archive(image: ImageFacts, plan: Plan) -> None:
    assert len(image.apt_sources) == len(plan.recipe.archives)


def test_apt_trusts_nothing_without_a_signature(image: ImageFacts) -> None:
    settings = [entry.read().decode() for entry in image.tree.glob("/etc/apt/apt.conf.d/*")]
    texts = [*image.apt_sources.values(), *settings]
    assert [text for text in texts if "rusted: yes" in text or "AllowUnauthenticated" in text] == []


def test_sources_list_is_empty(image: ImageFacts) -> None:
    assert image.file("/etc/apt/sources.list").lines == []


def test_a_program_of_the_first_day_is_there(image: ImageFacts, program: str) -> None:
    assert image.file(program).is_file
    assert image.file(program).mode & 0o111 == 0o111
