# SPDX-License-Identifier: MIT
"""The way foreign programs run, and that builds are the same either way."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import struct
from pathlib import Path

import pytest

from builder.choices import EmulationChoice
from builder.errors import MachineError
from builder.rootfs import emulation, twins
from builder.rootfs.emulation import Emulation, Mode, Sources, choose, command, mmdebstrap_options, prepare
from builder.system.process import run
from tests.support.emulation import TRIXIE, write_tool


class TestChoice:
    @pytest.mark.usefixtures("tools")
    def test_the_architecture_of_the_machine_is_native(self) -> None:
        assert choose(architecture="amd64").mode is Mode.NATIVE

    @pytest.mark.usefixtures("tools")
    def test_an_unknown_architecture_is_named_with_the_known_ones(self) -> None:
        with pytest.raises(MachineError, match="found 'm68k'; expected one of amd64, arm64"):
            choose(architecture="m68k")

    @pytest.mark.usefixtures("tools")
    def test_without_qemu_the_hint_names_the_package(self) -> None:
        with pytest.raises(MachineError, match="no static qemu-user for riscv64") as caught:
            choose(architecture="riscv64")
        assert "qemu-user-static" in caught.value.hint

    def test_a_qemu_that_needs_libraries_is_not_taken(self, tools: Path) -> None:
        write_tool(tools / "ldd", "echo 'libc.so.6 => /lib/libc.so.6 (0x1)'")
        write_tool(tools / "qemu-aarch64", "")
        with pytest.raises(MachineError, match="no static qemu-user"):
            choose(architecture="arm64")

    @pytest.mark.machine
    def test_where_all_is_allowed_the_redirect_is_taken(self) -> None:
        assert choose(architecture="arm64").mode is Mode.REDIRECT
        assert choose(architecture="arm64", wanted=EmulationChoice.QEMU).private

    @pytest.mark.machine
    def test_without_a_compiler_qemu_runs_all(self, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(emulation, "HELPER", tools / "none")
        for name in ("ldd", "true", "qemu-aarch64-static", "bash"):
            (tools / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or "")
        chosen = choose(architecture="arm64")
        assert (chosen.mode, chosen.private) == (Mode.QEMU, True)
        assert "gcc" in chosen.reason

    def test_a_native_build_has_no_option_of_emulation(self) -> None:
        options = mmdebstrap_options(Emulation(Mode.NATIVE, "amd64", "test"))
        assert options == ["--mode=root", "--architectures=amd64"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("twins")


@pytest.mark.machine
@pytest.mark.slow
class TestBuilds:
    """With the packages of the mirror."""

    @pytest.fixture
    def prepared(self, cache: Path) -> Emulation:
        return prepare(choose(architecture="arm64", wanted=EmulationChoice.REDIRECT), TRIXIE, cache=cache)

    def test_the_tree_has_twins_only_of_what_may_have_one(self, prepared: Emulation, cache: Path) -> None:
        tree = prepared.twins
        assert tree
        for name in ("dash", "perl", "gzip", "dpkg", "dpkg-deb", "dpkg-query", "localedef", "systemctl", "python3.13"):
            assert (tree / "usr/bin" / name).is_file()
        for name in ("uname", "arch", "su", "getent", "ssh", "systemd-detect-virt"):
            assert not (tree / "usr/bin" / name).exists()
        assert [path.name for path in cache.glob("*.part")] == []
        public = [path for path in tree.rglob("*") if path.is_file() and b"/usr/lib/x86_64" in read_elf(path)]
        assert public == []
        assert prepare(prepared, TRIXIE, cache=cache) == prepared

    def test_a_build_is_the_same_with_and_without_the_redirect(self, tmp_path: Path, prepared: Emulation) -> None:
        """The least that has scripts for sh and perl. `make bench` compares the layers of a whole board."""
        plain = choose(architecture="arm64", wanted=EmulationChoice.QEMU)
        fast, slow = (build(emulated, tmp_path / emulated.mode) for emulated in (prepared, plain))
        assert scan(fast) == scan(slow)
        machines = {struct.unpack("<H", head[18:20])[0] for path in fast.rglob("*") if (head := read_elf(path))}
        assert machines == {183}
        assert run(["dpkg", f"--root={fast}", "--audit"]).stdout == ""
        assert list((fast / "dev").iterdir()) == []

    def test_another_architecture_and_suite_have_twins_too(self, tmp_path: Path, cache: Path) -> None:
        sources = Sources("bookworm", TRIXIE.deb822.replace("trixie", "bookworm"))
        prepared = prepare(choose(architecture="armhf", wanted=EmulationChoice.REDIRECT), sources, cache=cache)
        assert prepared.twins
        tree = build(prepared, tmp_path / "tree", sources, names="mawk,adduser")
        machines = {struct.unpack("<H", head[18:20])[0] for path in tree.rglob("*") if (head := read_elf(path))}
        assert machines == {40}
        assert run(["dpkg", f"--root={tree}", "--audit"]).stdout == ""
        inside = command(prepared, ["dpkg", "--print-architecture"], rootfs=tree, chroot=True)
        assert run(inside).stdout == "armhf\n"
        assert not (tree / twins.PLACE).exists()


def build(emulated: Emulation, target: Path, sources: Sources = TRIXIE, *, names: str = "adduser,kmod") -> Path:
    argv = ["mmdebstrap", *mmdebstrap_options(emulated), "--variant=essential", f"--include={names}"]
    argv += ["--format=directory", sources.suite, str(target), "-"]
    run(command(emulated, argv, rootfs=target), stdin=sources.deb822.encode())
    return target


def read_elf(path: Path) -> bytes:
    """Content of an ELF file; nothing of any other."""
    if path.is_symlink() or not path.is_file():
        return b""
    content = path.read_bytes()
    return content if content.startswith(b"\x7fELF") else b""


def scan(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything of each file but its times."""
    return {str(path.relative_to(root)): describe(path) for path in sorted(root.rglob("*"))}


def describe(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    attributes = {
        name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
    }
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return (oct(status.st_mode), status.st_uid, status.st_gid, content, attributes)
