# SPDX-License-Identifier: MIT
"""Which system is asked: addresses of boards, names from user-data, logins that last for one boot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from builder.errors import RecipeError, VerifyError
from builder.plan.user_data import check_user_data
from builder.verify.live import target
from builder.verify.live.login import make_login
from builder.verify.live.qemu.machine import Machine
from builder.verify.live.qemu.watch import wait
from builder.verify.live.ssh import SshAddress
from builder.verify.live.target import booted, find_board
from tests.support.qemu_images import plan_of

PLAN = plan_of("rpi")


@pytest.mark.parametrize(
    ("url", "reach"),
    [
        ("ssh://anne@board.local", SshAddress("anne", "board.local", 22)),
        ("ssh://anne@192.168.1.20:2222", SshAddress("anne", "192.168.1.20", 2222)),
        ("ssh://board.local", SshAddress("pirate", "board.local", 22)),
        ("ssh://[fe80::1%25eth0]:23", SshAddress("pirate", "fe80::1%25eth0", 23)),
    ],
)
def test_a_board_is_named_by_its_address(url: str, reach: SshAddress) -> None:
    assert find_board(url, None, PLAN).reach == reach


@pytest.mark.parametrize(
    "url",
    ["board.local", "http://board.local", "ssh://", "ssh://a:secret@board", "ssh://board/etc", "ssh://board:port"],
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(RecipeError, match="--host: found") as caught:
        find_board(url, None, PLAN)
    assert "ssh://USER@ADDRESS" in caught.value.hint


def test_a_key_is_handed_to_ssh(tmp_path: Path) -> None:
    options = find_board("ssh://board", tmp_path / "key", PLAN).reach.options(tmp_path / "socket")
    assert options[-2:] == ["-i", str(tmp_path / "key")]
    assert "StrictHostKeyChecking=no" not in options


def test_a_machine_that_lasts_for_a_boot_has_no_known_key(tmp_path: Path) -> None:
    assert "StrictHostKeyChecking=no" in SshAddress("a", "b", fleeting=True).options(tmp_path)


@pytest.mark.parametrize("url", ["ssh://-oProxyCommand=reboot@board", "ssh://-oProxyCommand=reboot"])
def test_no_part_of_an_address_is_an_option_of_ssh(url: str) -> None:
    with pytest.raises(RecipeError, match="of which ssh would take a part for an option"):
        find_board(url, None, PLAN)


@pytest.mark.parametrize(("text", "name"), [("hostname: mine\n", "mine"), ("password: x\n", "boardwright")])
def test_the_name_of_a_board_is_that_of_user_data_or_of_the_recipe(text: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "user-data"
    file.write_text(f"#cloud-config\n{text}")
    assert find_board("ssh://board", None, replace(PLAN, user_data=file)).hostname == name


@pytest.mark.boot
def test_a_login_is_user_data_that_cloud_init_takes(tmp_path: Path) -> None:
    login = make_login(PLAN, tmp_path)
    check_user_data(login.user_data)
    data = YAML(typ="safe").load(login.user_data.read_text())
    assert data["ssh_authorized_keys"] == [login.key.with_suffix(".pub").read_text().strip()]
    assert data["hostname"] == login.hostname != PLAN.recipe.hostname
    assert login.user == "pirate"


@pytest.mark.boot
def test_two_logins_have_nothing_in_common(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (make_login(PLAN, tmp_path / name) for name in ("a", "b"))
    assert first.password != second.password
    assert first.key.read_text() != second.key.read_text()


@pytest.mark.machine
@pytest.mark.boot
def test_an_image_that_does_not_boot_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real QEMU and its firmware, on a disk with nothing to start."""
    monkeypatch.setattr(target, "wait_for_ssh", wait_briefly)
    disk = tmp_path / "empty.img"
    with disk.open("wb") as stream:
        stream.truncate(64 << 20)
    plan = plan_of("qemu-amd64")
    monkeypatch.setattr("builder.verify.live.qemu.card.put_user_data", lambda *_: None)
    with pytest.raises(VerifyError, match="the firmware found nothing to start"), booted(plan, disk, tmp_path):
        pass


def wait_briefly(machine: Machine) -> None:
    wait(machine, lambda: False, what="ssh", timeout_s=120)
