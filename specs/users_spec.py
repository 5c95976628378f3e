# SPDX-License-Identifier: MIT
"""Only the users of the recipe can log in, and no user has a password."""

from collections import Counter

import pytest

from builder.plan.model import Plan
from builder.verify.facts.image import ImageFacts


def test_a_user_of_the_recipe_exists(image: ImageFacts, user: str) -> None:
    assert user in image.users


def test_a_user_has_the_shell_of_the_recipe(image: ImageFacts, plan: Plan, user: str) -> None:
    assert image.users[user].shell == plan.recipe.users[user].shell


def test_a_user_has_the_full_name_of_the_recipe(image: ImageFacts, plan: Plan, user: str) -> None:
    assert image.users[user].gecos == plan.recipe.users[user].gecos


def test_a_user_is_no_system_user(image: ImageFacts, user: str) -> None:
    assert image.users[user].uid >= 1000


def test_a_user_has_a_group_of_his_own(image: ImageFacts, user: str) -> None:
    assert image.groups[user].gid == image.users[user].gid


def test_a_user_is_in_a_group_of_the_recipe(image: ImageFacts, membership: tuple[str, str]) -> None:
    name, group = membership
    assert name in image.groups[group].members


def test_a_user_lives_below_home(image: ImageFacts, user: str) -> None:
    assert image.users[user].home == f"/home/{user}"


def test_a_user_owns_his_home(image: ImageFacts, user: str) -> None:
    home = image.file(image.users[user].home)
    assert (home.user, home.group) == (user, user)


def test_the_home_of_a_user_is_not_writable_by_others(image: ImageFacts, user: str) -> None:
    assert image.file(image.users[user].home).mode & 0o022 == 0


def test_the_home_of_a_user_has_a_file_of_the_skeleton(image: ImageFacts, user: str, skeleton_file: str) -> None:
    assert image.file(f"{image.users[user].home}/{skeleton_file}").user == user


def test_the_skeleton_has_a_file(image: ImageFacts, skeleton_file: str) -> None:
    assert image.file(f"/etc/skel/{skeleton_file}").is_file


def test_a_user_has_numbers_for_containers_of_his_own(image: ImageFacts, user: str) -> None:
    assert [line for line in image.file("/etc/subuid").lines if line.startswith(f"{user}:")]


def test_nobody_has_a_password(image: ImageFacts) -> None:
    assert [name for name, value in image.shadow.items() if not value.startswith(("!", "*"))] == []


def test_every_password_is_in_shadow(image: ImageFacts) -> None:
    assert [user.name for user in image.users.values() if user.password != "x"] == []


def test_every_user_has_a_row_in_shadow(image: ImageFacts) -> None:
    assert image.shadow.keys() == image.users.keys()


def test_no_group_has_a_password(image: ImageFacts) -> None:
    rows = [line.split(":") for line in image.file("/etc/gshadow").lines]
    assert [row[0] for row in rows if not row[1].startswith(("!", "*"))] == []


def test_root_is_the_only_one_of_number_zero(image: ImageFacts) -> None:
    assert [user.name for user in image.users.values() if user.uid == 0] == ["root"]


def test_root_lives_in_root(image: ImageFacts) -> None:
    assert image.users["root"].home == "/root"


def test_no_two_users_share_a_number(image: ImageFacts) -> None:
    count = Counter(user.uid for user in image.users.values())
    assert [uid for uid, users in count.items() if users > 1] == []


def test_no_two_groups_share_a_number(image: ImageFacts) -> None:
    count = Counter(group.gid for group in image.groups.values())
    assert [gid for gid, groups in count.items() if groups > 1] == []


def test_nobody_else_may_log_in(image: ImageFacts) -> None:
    image.rights.check_asked("shells")


def test_every_file_has_an_owner_that_exists(image: ImageFacts) -> None:
    owners = image.tree.users.keys()
    assert [entry.path for entry in image.tree.entries.values() if entry.uid not in owners] == []


def test_every_file_has_a_group_that_exists(image: ImageFacts) -> None:
    groups = image.tree.groups.keys()
    assert [entry.path for entry in image.tree.entries.values() if entry.gid not in groups] == []


def test_sudo_asks_no_password_where_the_recipe_says_so(image: ImageFacts, sudoer: str) -> None:
    assert image.file(f"/etc/sudoers.d/boardwright-{sudoer}").lines == [f"{sudoer} ALL=(ALL) NOPASSWD:ALL"]


@pytest.mark.needs("package:sudo")
def test_sudo_accepts_the_mode_of_its_files(image: ImageFacts) -> None:
    assert [entry.path for entry in image.tree.glob("/etc/sudoers.d/*") if entry.mode != 0o440] == []


@pytest.mark.needs("package:sudo")
def test_sudo_files_are_roots(image: ImageFacts) -> None:
    assert [entry.path for entry in image.tree.below("/etc/sudoers.d") if (entry.uid, entry.gid) != (0, 0)] == []


@pytest.mark.needs("package:sudo")
def test_sudo_reads_its_directory(image: ImageFacts) -> None:
    assert "@includedir /etc/sudoers.d" in image.file("/etc/sudoers").content_string
