# SPDX-License-Identifier: MIT
"""What makes a tree a board's system: names, versions, users, units, first-boot data."""

from __future__ import annotations

import json
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from builder.errors import RecipeError
from builder.plan.model import Plan
from builder.recipe.model import User
from builder.rootfs import configure
from tests.support.rootfs_boards import EPOCH, PlanReal


def _change(plan: Plan, **fields: object) -> Plan:
    return replace(plan, recipe=plan.recipe.model_copy(update=fields))


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# names


def test_names(plan: Plan, tree: Path) -> None:
    configure.write_names(plan, tree)
    assert (tree / "etc/hostname").read_text() == "boardwright\n"
    assert "127.0.1.1 boardwright\n" in (tree / "etc/hosts").read_text()
    assert (tree / "etc/localtime").readlink() == Path("../usr/share/zoneinfo/Etc/UTC")
    assert (tree / "etc/timezone").read_text() == "Etc/UTC\n"
    assert (tree / "etc/default/locale").read_text() == "LANG=en_US.UTF-8\n"
    assert (tree / "etc/locale.gen").read_text() == "en_US.UTF-8 UTF-8\n"
    assert (tree / "usr/lib/clock-epoch").stat().st_mtime == EPOCH


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "Etc"])
def test_an_unknown_timezone(plan: Plan, tree: Path, zone: str) -> None:
    with pytest.raises(RecipeError, match=f"timezone {zone} is not one that tzdata knows"):
        configure.write_names(_change(plan, timezone=zone), tree)


def test_a_timezone_of_this_machine_does_not_count(tmp_path: Path, plan: Plan, tree: Path) -> None:
    (tmp_path / "zone").write_text("TZif")
    (tree / "usr/share/zoneinfo/Mine").symlink_to(tmp_path / "zone")
    with pytest.raises(RecipeError, match="timezone Mine"):
        configure.write_names(_change(plan, timezone="Mine"), tree)


def _read_as_shell(path: Path, name: str) -> str:
    script = '. "$1"; printf %s "$' + name + '"'
    return subprocess.run(["sh", "-c", script, "-", path], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("title", ["Raspberry Pi", 'The "Pi"', "costs $5 `id` \\ more", "ends with \\"])
def test_release(plan: Plan, tree: Path, title: str) -> None:
    configure.write_release(_change(plan, title=title), tree)
    path = tree / "etc/os-release"
    assert not path.is_symlink()
    assert (tree / "usr/lib/os-release").read_text() == 'ID=debian\nPRETTY_NAME="Debian"'
    assert (tree / "boot/firmware/os-release").read_text() == path.read_text()
    names = ("ID", "PRETTY_NAME", "IMAGE_ID", "IMAGE_VERSION", "BOARDWRIGHT_BOARD", "BOARDWRIGHT_DEVICE")
    found = [_read_as_shell(path, name) for name in names]
    assert found == ["debian", "Debian", "boardwright-rpi", "1.0", "rpi", " ".join(title.split())]
    assert path.read_text().count("\n") == 6


# the FAT partition


def test_firmware_leads_to_the_esp(tmp_path: Path, plan_real: PlanReal) -> None:
    configure.link_firmware(plan_real("qemu-amd64"), tmp_path)
    assert (tmp_path / "boot/firmware").readlink() == Path("efi")
    assert (tmp_path / "boot/efi").is_dir()


def test_firmware_is_the_mount_point_itself(tmp_path: Path, plan: Plan) -> None:
    configure.link_firmware(plan, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_board_without_boot_partition(tmp_path: Path, plan: Plan) -> None:
    slots = tuple(slot for slot in plan.disk.slots if slot.mount == "/")
    configure.link_firmware(replace(plan, disk=replace(plan.disk, slots=slots)), tmp_path)
    assert list(tmp_path.iterdir()) == []


# first boot


def _cloud_config(tree: Path) -> tuple[str, dict[str, object]]:
    text = (tree / "etc/cloud/cloud.cfg.d/90_boardwright.cfg").read_text()
    return text, YAML(typ="safe").load(text)


def test_cloud_init(plan: Plan, tree: Path) -> None:
    configure.write_first_boot(plan, tree)
    text, config = _cloud_config(tree)
    assert "\ndatasource_list: [NoCloud]\n" in text  # ds-identify reads this line by line
    assert config == {
        "datasource_list": ["NoCloud"],
        "datasource": {"NoCloud": {"seedfrom": "file:///boot/firmware/"}},
        "preserve_hostname": False,
        "manage_etc_hosts": True,
        "system_info": {
            "default_user": {
                "name": "pirate",
                "gecos": "Boardwright user",
                "groups": ["sudo", "docker", "adm", "dialout", "audio", "video", "plugdev", "users"],
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": ["ALL=(ALL) NOPASSWD:ALL"],
            }
        },
    }
    assert not (tree / "boot/firmware/user-data").exists()


def test_the_default_user_is_the_first(plan: Plan, tree: Path) -> None:
    users = {"zoe": User(sudo="password"), "adam": User(sudo="nopasswd")}
    configure.write_first_boot(_change(plan, users=users), tree)
    default = _cloud_config(tree)[1]["system_info"]
    assert default == {
        "default_user": {"name": "zoe", "gecos": "", "groups": [], "shell": "/bin/bash", "lock_passwd": True}
    }


def test_no_users(plan: Plan, tree: Path) -> None:
    configure.write_first_boot(_change(plan, users={}), tree)
    assert "system_info" not in _cloud_config(tree)[1]


def test_the_users_own_user_data(tmp_path: Path, plan_real: PlanReal, tree: Path) -> None:
    own = tmp_path / "user-data"
    own.write_text("#cloud-config\nhostname: möwe\n")
    plan = plan_real("rpi", user_data=own)
    configure.lay_files(plan, tree)
    configure.write_first_boot(plan, tree)
    assert (tree / "boot/firmware/user-data").read_text() == "#cloud-config\nhostname: möwe\n"


def test_a_file_is_not_led_to_where_the_build_writes(plan: Plan, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "parent/files/srv").mkdir(parents=True)
    (tmp_path / "parent/files/srv/state").symlink_to("../var/lib")
    (tmp_path / "child/files/srv/state/dpkg/info").mkdir(parents=True)
    (tmp_path / "child/files/srv/state/dpkg/info/x.md5sums").touch()
    one = replace(plan, directories=(tmp_path / "parent",))
    assert configure.lay_files(one, tree) == {"/srv/state"}
    with pytest.raises(RecipeError, match=r"x\.md5sums leads to /var/lib/dpkg/info/x\.md5sums, which the build writes"):
        configure.lay_files(replace(one, directories=(*one.directories, tmp_path / "child")), tree)


def test_the_places_of_files_are_told(plan: Plan, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "board/files/lib/x").mkdir(parents=True)
    (tmp_path / "board/files/lib/x/y").touch()
    (tmp_path / "board/files/lib/x/.gitkeep").touch()
    assert configure.lay_files(replace(plan, directories=(tmp_path / "board",)), tree) == {"/usr/lib/x/y"}


def test_sudoers(plan: Plan, tree: Path) -> None:
    users = {"a": User(sudo="nopasswd"), "b": User(sudo="password"), "c": User()}
    configure.write_sudoers(_change(plan, users=users), tree)
    (path,) = (tree / "etc/sudoers.d").iterdir()
    assert (path.name, path.read_text(), _mode(path)) == ("boardwright-a", "a ALL=(ALL) NOPASSWD:ALL\n", 0o440)


# commands


def _commands(plan: Plan, tree: Path) -> list[tuple[str, ...]]:
    return [command.argv for command in configure.identity_commands(plan, tree)]


def test_commands(plan: Plan, tree: Path) -> None:
    users = {
        "zoe": User(groups=["sudo", "sailors", "crew"], gecos="Zoë", shell="/bin/sh"),
        "adam": User(groups=["crew"]),
    }
    units = {"b.service": "enabled", "a@x.service": "enabled", "c.timer": "masked", "d.service": "disabled"}
    for place in ("etc/systemd/system/b.service", "usr/lib/systemd/system/a@.service", "etc/init.d/d"):
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        (tree / place).touch()
    assert _commands(_change(plan, users=users, units=units), tree) == [
        ("dpkg-divert", "--local", "--no-rename", "--add", "/etc/os-release"),
        ("locale-gen",),
        ("groupadd", "--system", "crew"),
        ("groupadd", "--system", "sailors"),
        (
            *("useradd", "--create-home", "--user-group", "--shell=/bin/sh", "--comment=Zoë"),
            *("--groups=sudo,sailors,crew", "zoe"),
        ),
        ("useradd", "--create-home", "--user-group", "--shell=/bin/bash", "--comment=", "--groups=crew", "adam"),
        ("systemctl", "enable", "a@x.service", "b.service"),
        ("systemctl", "disable", "d.service"),
        ("systemctl", "mask", "c.timer"),
    ]


def test_a_unit_that_nothing_brings_is_named_with_what_to_do(plan: Plan, tree: Path) -> None:
    units = {"gone.service": "enabled", "lost@x.timer": "disabled", "c.timer": "masked"}
    with pytest.raises(RecipeError, match=r"brings gone\.service, lost@x\.timer") as caught:
        _commands(_change(plan, units=units), tree)
    assert "units: {gone.service: null}" in caught.value.hint


def test_nothing_to_do(plan: Plan, tree: Path) -> None:
    commands = _commands(_change(plan, users={}, units={}, locale="C.UTF-8"), tree)
    assert [argv[0] for argv in commands] == ["dpkg-divert"]


def test_no_command_sets_a_password_or_a_key(plan: Plan, tree: Path) -> None:
    (tree / "usr/lib/systemd/system").mkdir(parents=True)
    for unit in plan.recipe.units:
        (tree / "usr/lib/systemd/system" / unit).touch()
    text = json.dumps(_commands(plan, tree))
    assert not [word for word in ("passwd", "--password", "ssh", "chpasswd") if word in text.replace("ssh.service", "")]
