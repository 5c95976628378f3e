# SPDX-License-Identifier: MIT
"""The units that start at boot are those of the recipe, and their programs exist."""

from builder.verify.facts.image import ImageFacts


def test_a_unit_of_the_recipe_is_enabled(image: ImageFacts, enabled_unit: str) -> None:
    assert image.units.is_enabled(enabled_unit)


def test_a_unit_that_is_enabled_exists(image: ImageFacts, enabled_unit: str) -> None:
    assert image.units.find(enabled_unit)


def test_a_unit_of_the_recipe_is_disabled(image: ImageFacts, disabled_unit: str) -> None:
    assert not image.units.is_enabled(disabled_unit)


def test_a_unit_of_the_recipe_is_masked(image: ImageFacts, masked_unit: str) -> None:
    assert image.file(f"/etc/systemd/system/{masked_unit}").target == "/dev/null"


def test_cloud_init_runs_at_boot(image: ImageFacts, first_boot_unit: str) -> None:
    assert image.units.is_enabled(first_boot_unit)


def test_every_enabled_unit_exists(image: ImageFacts) -> None:
    assert [name for name in image.units.enabled if not image.units.find(name)] == []


def test_every_service_that_starts_at_boot_has_its_program(image: ImageFacts) -> None:
    assert image.units.missing_programs == []


def test_units_are_not_writable_by_others(image: ImageFacts) -> None:
    files = (entry for entry in image.tree.below("/usr/lib/systemd/system") if entry.kind == "file")
    assert [entry.path for entry in files if entry.mode & 0o022] == []


def test_the_board_starts_without_a_graphical_screen(image: ImageFacts) -> None:
    default = image.file("/usr/lib/systemd/system/default.target").target
    assert image.units.find("multi-user.target")
    assert default in ("graphical.target", "multi-user.target")


def test_a_login_waits_on_the_screen(image: ImageFacts) -> None:
    assert image.units.is_enabled("getty@tty1.service")
