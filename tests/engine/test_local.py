# SPDX-License-Identifier: MIT
"""This machine as the place of a build: what it lacks is installed, and its finished rootfs can be entered."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.engine import local
from builder.errors import MachineError, ToolError
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import load_board
from builder.rootfs.stored_tree import write_stored_tree
from builder.system.tools import DEBIAN_PACKAGES
from tests.conftest import ROOT
from tests.support.log import Heard

pytestmark = pytest.mark.machine


@pytest.fixture
def plan() -> Plan:
    return make_plan(load_board(ROOT / "boards", "qemu-amd64"), version="1", epoch=0)


def fake_apt_get(place: Path, monkeypatch: pytest.MonkeyPatch, *, code: int = 0) -> Path:
    calls = place / "calls"
    program = place / "apt-get"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexit {code}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return calls


def lack_a_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEBIAN_PACKAGES, "no-such-tool", "package-of-it")
    monkeypatch.setattr(local, "TOOLS", ("sh", "no-such-tool"))


def test_what_is_missing_is_named_and_installed(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    calls = fake_apt_get(tmp_path, monkeypatch)
    lack_a_tool(monkeypatch)
    local.install_tools(plan)
    assert any("package-of-it" in text for text in heard.texts("note"))
    assert calls.read_text().splitlines()[-1].endswith(" package-of-it")


def test_nothing_is_installed_where_nothing_is_missing(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_apt_get(tmp_path, monkeypatch)
    monkeypatch.setattr(local, "TOOLS", ("sh",))
    local.install_tools(plan)
    assert not calls.exists()


def test_a_missing_keyring_is_installed_too(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_apt_get(tmp_path, monkeypatch)
    monkeypatch.setattr(local, "TOOLS", ("sh",))
    debian = plan.recipe.archives["debian"]
    key = debian.key.model_copy(update={"file": "/usr/share/keyrings/elsewhere-archive-keyring.gpg"})
    archives = {"debian": debian.model_copy(update={"key": key})}
    local.install_tools(replace(plan, recipe=plan.recipe.model_copy(update={"archives": archives})))
    assert calls.read_text().splitlines()[-1].endswith(" elsewhere-archive-keyring")


def test_a_failing_apt_get_is_an_error(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt_get(tmp_path, monkeypatch, code=100)
    lack_a_tool(monkeypatch)
    with pytest.raises(ToolError, match="exit code 100"):
        local.install_tools(plan)


def test_every_tool_that_builds_need_has_a_package() -> None:
    assert set(local.TOOLS) <= set(DEBIAN_PACKAGES)


def test_a_shell_needs_a_finished_rootfs(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no finished rootfs"):
        local.enter_rootfs(tmp_path, "rpi", architecture="arm64")


def test_what_a_shell_changes_is_thrown_away(tmp_path: Path) -> None:
    """The tree holds just enough to run a shell: this machine's own, statically linked or not."""
    kept = tmp_path / "rooms/tiny/rootfs"
    root, boot = kept / "tree", kept / "boot-firmware"
    copy_shell(root)
    boot.mkdir()
    (boot / "user-data").write_text("#cloud-config\n")
    write_stored_tree(kept, is_whole=True, below=(), packages=(), origins={}, mounts=["/boot/firmware"])
    before = sorted(path.relative_to(kept) for path in kept.rglob("*"))
    program = (
        "from pathlib import Path; from builder.engine.local import enter_rootfs; import sys;"
        f"sys.exit(enter_rootfs(Path({str(tmp_path)!r}), 'tiny', architecture='amd64'))"
    )
    script = "echo > /left; echo > /boot/firmware/left; read line < /boot/firmware/user-data; echo $line; exit 5\n"
    done = subprocess.run(
        [sys.executable, "-c", program], input=script, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (5, "#cloud-config\n"), done.stderr
    assert sorted(path.relative_to(kept) for path in kept.rglob("*")) == before
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert not (tmp_path / "rooms/tiny/scratch").exists()


def copy_shell(root: Path) -> None:
    for name in ("proc", "sys", "dev", "boot/firmware", "root", "tmp"):
        (root / name).mkdir(parents=True)
    listing = subprocess.run(["ldd", "/bin/bash"], check=True, capture_output=True, text=True).stdout
    libraries = [word for word in listing.split() if word.startswith("/")]
    for path in ["/bin/bash", *libraries]:
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())
        target.chmod(0o755)
