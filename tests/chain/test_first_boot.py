# SPDX-License-Identifier: MIT
"""First boots with user-data as people write it: cloud-init is done, the system runs, and each line was obeyed.

Every second run boots one of them, another at each commit; the whole run boots all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.plan.user_data import check_network_config, check_user_data
from builder.recipe.load import load_board
from builder.system.process import run
from builder.verify.live.qemu.card import put_user_data
from builder.verify.live.qemu.machine import started
from builder.verify.live.qemu.watch import wait_for_ssh
from builder.verify.live.ssh import Running, SshAddress, open_live_system
from tests.chain.conftest import EPOCH, VERSION, Built
from tests.conftest import ROOT
from tests.support.selection import by_commit

pytestmark = [pytest.mark.boards, pytest.mark.boot, pytest.mark.machine, pytest.mark.engine, pytest.mark.slow]

CASES: Mapping[str, Any] = YAML(typ="safe").load(Path(__file__).with_name("first_boot.yaml"))
HASH = "$6$galley$"
EXAMPLES = ROOT / "boards/_base/files/boot/firmware/user-data"


def read_examples(key: str, password: str) -> str:
    """Return the card's own user-data with every example of it in force; no registry is there to run nginx from."""
    text = re.sub(r"^# ((?:  +|[a-z_]+:).*)$", r"\1", EXAMPLES.read_text(encoding="utf-8"), flags=re.M)
    text = re.sub(r"ssh-ed25519 AAAA\S* \S+", key, text).replace("$y$j9T$...", password)
    return re.sub(r"^  - \[docker, run.*\]$", "  - [docker, ps]", text, flags=re.M)


def write_card(case: Mapping[str, Any], image: Path, plan: Plan, key: Path, place: Path) -> tuple[Path, Path]:
    """Return a copy of an image with the network-config of a case, as Imager leaves it, and its user-data."""
    public = key.with_suffix(".pub").read_text(encoding="utf-8").strip()
    password = run(["openssl", "passwd", "-6", "treasure"]).stdout.strip()
    text = case["user-data"].replace("EXAMPLE", read_examples(public, password))
    user_data = place / "user-data"
    user_data.write_text(text.replace("KEY", public).replace("HASH", password), encoding="utf-8")
    check_user_data(user_data)
    if "network-config" not in case:
        return image, user_data
    copy, network = place / "copy.img", place / "network-config"
    network.write_text(case["network-config"], encoding="utf-8")
    check_network_config(network)
    run(["cp", "--sparse=always", "--reflink=auto", image, copy])
    put_user_data(copy, plan, network, name="network-config")
    return copy, user_data


@pytest.mark.parametrize("name", by_commit(CASES, turn=0, of=2))
def test_a_first_boot_obeys_its_user_data(name: str, qemu_amd64: Built, ssh_key: Path, tmp_path: Path) -> None:
    case = CASES[name]
    plan = make_plan(load_board(ROOT / "boards", qemu_amd64.board), version=VERSION, epoch=int(EPOCH))
    image, user_data = write_card(case, qemu_amd64.file(".img"), plan, ssh_key, tmp_path)
    with started(plan, image, work=tmp_path / "machine", user_data=user_data) as machine:
        wait_for_ssh(machine)
        reach = SshAddress(case["login"], "127.0.0.1", machine.ssh_port, str(ssh_key), fleeting=True)
        with open_live_system(Running(reach, "", machine, ""), tmp_path) as live:
            status = json.loads(live.call("cloud-init status --format=json").stdout)
            system = live.call("systemctl is-system-running").stdout.strip()
            failed = live.ask("systemctl --failed --plain --no-legend")
            asked = {command: live.call(command).stdout.strip() for command in case["asked"]}
    assert (status["status"], status["errors"], failed, system) == ("done", [], "", "running")
    warnings = [line for lines in status["recoverable_errors"].values() for line in lines]
    assert all(case.get("warned", "none") in line for line in warnings), warnings
    assert asked == case["asked"]


def test_every_example_of_the_card_is_in_force() -> None:
    data = YAML(typ="safe").load(read_examples("ssh-ed25519 AAAA me@here", HASH))
    assert set(data) == {
        *("manage_etc_hosts", "hostname", "ssh_authorized_keys", "password", "chpasswd", "ssh_pwauth", "users"),
        *("locale", "timezone", "runcmd"),
    }
    assert [each if isinstance(each, str) else each["name"] for each in data["users"]] == ["default", "anne", "bob"]
