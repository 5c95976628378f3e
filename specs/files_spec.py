# SPDX-License-Identifier: MIT
"""Owners, modes, links and contents of files."""

from collections.abc import Mapping

from builder.verify.facts.compare import find_file_difference
from builder.verify.facts.image import ImageFacts
from builder.verify.parametrize import LaidFile

Row = Mapping[str, str]


def test_a_system_file_has_its_owner(image: ImageFacts, system_file: Row) -> None:
    file = image.file(system_file["name"])
    assert (file.user, file.group) == (system_file["user"], system_file["group"])


def test_a_system_file_has_its_mode(image: ImageFacts, system_file: Row) -> None:
    assert oct(image.file(system_file["name"]).mode) == f"0o{system_file['mode']}"


def test_setuid_and_setgid_files_are_as_their_packages_bring_them(image: ImageFacts) -> None:
    image.rights.check_kept()


def test_no_other_file_is_setuid_or_setgid(image: ImageFacts) -> None:
    image.rights.check_asked("setid")


def test_no_other_file_has_capabilities(image: ImageFacts) -> None:
    image.rights.check_asked("capabilities")


def test_nothing_else_is_writable_by_everybody(image: ImageFacts) -> None:
    image.rights.check_asked("writable")


def test_nothing_else_of_the_system_is_writable_by_others_than_root(image: ImageFacts) -> None:
    image.rights.check_asked("owners")


def test_every_other_link_leads_somewhere(image: ImageFacts) -> None:
    image.rights.check_asked("links")


def test_no_link_leads_around_in_a_circle(image: ImageFacts) -> None:
    assert [entry.path for entry in image.tree.of_kind("symlink") if image.tree.is_circle(entry.path)] == []


def test_a_directory_is_merged_into_usr(image: ImageFacts, merged_directory: str) -> None:
    assert image.file(merged_directory).target == f"usr{merged_directory}"


def test_a_file_of_the_board_is_laid_over_the_system(image: ImageFacts, laid_file: LaidFile) -> None:
    assert find_file_difference(image.file(laid_file.path), laid_file.source) == ""


def test_a_link_of_the_board_is_laid_over_the_system(image: ImageFacts, laid_link: LaidFile) -> None:
    entry = image.tree.find(laid_link.path, follow=False)
    assert entry is not None
    assert (entry.kind, entry.target) == ("symlink", str(laid_link.source.readlink()))


def test_a_file_of_the_board_is_roots(image: ImageFacts, laid_file: LaidFile) -> None:
    assert image.file(laid_file.path).user == "root"


def test_a_file_of_the_board_can_be_changed_by_root_only(image: ImageFacts, laid_file: LaidFile) -> None:
    assert image.file(laid_file.path).mode & 0o022 == 0
