# SPDX-License-Identifier: MIT
"""Owners, modes, links and contents of files."""

from collections.abc import Callable, Mapping

from builder.verify.subject import Subject
from builder.verify.tables import LaidFile

Row = Mapping[str, str]
Rows = Callable[[str], Mapping[str, Row]]


def test_a_system_file_has_its_owner(image: Subject, system_file: Row) -> None:
    file = image.file(system_file["name"])
    assert (file.user, file.group) == (system_file["user"], system_file["group"])


def test_a_system_file_has_its_mode(image: Subject, system_file: Row) -> None:
    assert oct(image.file(system_file["name"]).mode) == f"0o{system_file['mode']}"


def test_a_setuid_or_setgid_file_is_as_expected(image: Subject, setid_file: Row) -> None:
    file = image.file(setid_file["name"])
    assert (f"{file.mode:o}", file.user, file.group) == (setid_file["mode"], setid_file["user"], setid_file["group"])


def test_no_other_file_is_setuid_or_setgid(image: Subject, data: Rows) -> None:
    found = {each.path for each in image.tree.of_kind("file") if each.mode & 0o6000}
    assert found - set(data("setid_file")) == set()


def test_only_expected_files_have_capabilities(image: Subject, data: Rows) -> None:
    found = {each.path for each in image.tree.of_kind("file") if "security.capability" in each.xattrs}
    assert found == set(data("capable_file"))


def test_nothing_is_writable_by_everybody_but_temporary_places(image: Subject) -> None:
    places = (each for each in image.tree.entries.values() if each.kind != "symlink" and each.mode & 0o002)
    assert {each.path for each in places} == {"/tmp", "/var/tmp"}


def test_every_link_leads_somewhere(image: Subject, data: Rows) -> None:
    links = (each for each in image.tree.of_kind("symlink") if each.target != "/dev/null")
    assert {each.path for each in links if image.tree.find(each.path) is None} - set(data("dangling_link")) == set()


def test_no_link_leads_around_in_a_circle(image: Subject) -> None:
    assert [each.path for each in image.tree.of_kind("symlink") if image.tree.is_circle(each.path)] == []


def test_a_directory_is_merged_into_usr(image: Subject, merged_directory: str) -> None:
    assert image.file(merged_directory).target == f"usr{merged_directory}"


def test_a_file_of_the_board_is_laid_over_the_system(image: Subject, laid_file: LaidFile) -> None:
    assert image.file(laid_file.path).content == laid_file.source.read_bytes()


def test_a_file_of_the_board_is_roots(image: Subject, laid_file: LaidFile) -> None:
    assert image.file(laid_file.path).user == "root"


def test_a_file_of_the_board_can_be_changed_by_root_only(image: Subject, laid_file: LaidFile) -> None:
    assert image.file(laid_file.path).mode & 0o022 == 0
