# SPDX-License-Identifier: MIT
"""Partition table, /etc/fstab and kernel command line name the same partitions."""

from builder.plan.model import Plan, Slot
from builder.verify.facts.image import ImageFacts


def test_fstab_mounts_a_slot(image: ImageFacts, slot: Slot) -> None:
    assert slot.mount in image.fstab


def test_fstab_mounts_nothing_else(image: ImageFacts) -> None:
    image.rights.check_asked("mounts")


def test_fstab_swaps_to_nothing_else(image: ImageFacts) -> None:
    image.rights.check_asked("swap")


def test_fstab_finds_a_slot_by_the_id_in_the_table(image: ImageFacts, slot: Slot) -> None:
    assert image.fstab[slot.mount].source == f"PARTUUID={image.partition(slot).partuuid}"


def test_fstab_mounts_a_slot_as_its_filesystem(image: ImageFacts, slot: Slot) -> None:
    assert image.fstab[slot.mount].kind == slot.filesystem.row.linux


def test_fstab_mounts_a_slot_with_the_options_of_the_recipe(image: ImageFacts, slot: Slot) -> None:
    assert image.fstab[slot.mount].options == slot.options


def test_fstab_checks_a_slot_in_its_turn(image: ImageFacts, slot: Slot) -> None:
    assert image.fstab[slot.mount].turn == (1 if slot.mount == "/" else 2)


def test_the_mount_point_of_a_slot_is_there(image: ImageFacts, slot: Slot) -> None:
    assert image.file(slot.mount).is_directory
    assert slot.mount not in image.tree.mounts.missing


def test_no_file_is_hidden_below_a_mount_point(image: ImageFacts) -> None:
    assert image.tree.mounts.hidden == ()


def test_the_command_line_finds_the_root_by_the_id_in_the_table(image: ImageFacts, plan: Plan) -> None:
    root = next(slot for slot in plan.disk.slots if slot.mount == "/")
    assert image.cmdline.count(f"root=PARTUUID={image.partition(root).partuuid}") == 1


def test_the_command_line_has_what_the_recipe_asks_for(image: ImageFacts, kernel_word: str) -> None:
    assert kernel_word in image.cmdline


def test_consoles_are_in_the_order_of_the_recipe(image: ImageFacts, plan: Plan) -> None:
    planned = [word for word in plan.kernel_cmdline.split() if word.startswith("console=")]
    assert [word for word in image.cmdline if word.startswith("console=")] == planned
