# SPDX-License-Identifier: MIT
"""Packages of two architectures in one version."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.architecture import Architecture
from builder.rootfs import twins
from builder.rootfs.apt import pairs
from builder.rootfs.emulation import Emulation, Mode, prepare
from tests.support.emulation import REDIRECT, TRIXIE, write_tool


class TestPairs:
    """What apt answers is written here: these need neither network nor root."""

    def test_a_package_of_another_version_has_no_twin(self, tools: Path) -> None:
        rows = [("dash", "1-1"), ("sed", "2-1+b3"), ("tar", "1:3-2"), ("grep", "5-1+deb13u1")]
        policy = "".join(f"{name}:arm64:\n  Installed: (none)\n  Candidate: {version}\n" for name, version in rows)
        write_tool(tools / "apt-cache", f"printf '{policy}'".replace("\n", "\\n"))
        versions = {"dash": "1-1+b1", "sed": "2-1+b2", "tar": "3-2", "grep": "5-1", "gawk": "1"}
        assert pairs.find_paired(versions, "arm64", {}) == {"dash", "sed"}

    @pytest.mark.parametrize(("code", "taken"), [(0, "zstd=1.5-1"), (100, "zstd")])
    def test_the_version_that_both_have_is_taken(self, tools: Path, tmp_path: Path, code: int, taken: str) -> None:
        """amd64 has a security update that arm64 does not have yet; unless something else needs the newer one."""
        rows = {
            "zstd": ("1.5-1+deb13u1", "1.5-1"),
            "sed": ("2-1+b2",),
            "zstd:arm64": ("1.5-1",),
            "sed:arm64": ("2-1",),
        }
        text = ""
        for name, versions in rows.items():
            text += f"{name}:\n  Installed: (none)\n  Candidate: {versions[0]}\n  Version table:\n"
            text += "".join(f"     {each} 500\n        500 http://host trixie/main Packages\n" for each in versions)
        (tmp_path / "policy").write_text(text)
        lines = f'while IFS= read -r line; do echo "$line"; done < {tmp_path}/policy'
        write_tool(tools / "apt-cache", f'case $1 in policy) {lines} ;; *) echo "sed zstd tar" ;; esac')
        script = f'echo "$*" >> {tmp_path}/asked; case $* in *=*) exit {code} ;; esac; exit 0'
        write_tool(tools / "apt-get", script)
        pairs.find_versions(["zstd", "sed", "none"], "arm64", {})
        asked = (tmp_path / "asked").read_text().splitlines()
        assert asked[-1] == f"install --simulate sed {taken}"

    def test_an_archive_without_pairs_is_emulated(
        self, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("apt-get", "apt-cache"):
            write_tool(tools / name, "")
        prepared = prepare(REDIRECT, TRIXIE, cache=tmp_path / "cache")
        assert (prepared.mode, prepared.twins) == (Mode.QEMU, None)
        assert "trixie has no package in the same version for amd64" in capsys.readouterr().err

    def test_other_modes_prepare_nothing(self, tmp_path: Path) -> None:
        native = Emulation(Mode.NATIVE, "amd64", "test")
        assert prepare(native, TRIXIE, cache=tmp_path / "cache") is native
        assert not (tmp_path / "cache").exists()

    @pytest.mark.parametrize(("foreign", "taught"), [("arm64", True), ("riscv64", False)])
    def test_dpkg_is_taught_a_name_of_the_same_length(self, tmp_path: Path, foreign: str, taught: bool) -> None:
        programs = tmp_path / "usr/bin"
        templates, library = tmp_path / "usr/lib/apt/apt-extracttemplates", tmp_path / "libs/libapt-pkg.so.7.0.0"
        for path in (programs / "dpkg", programs / "dpkg-query", programs / "update-alternatives", templates, library):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\x7fELF\0amd64\0amd64-other\0")
        twins._teach_architecture(tmp_path, "amd64", foreign)
        assert (tmp_path / twins.TAUGHT).exists() == taught
        assert (programs / "dpkg-query").exists() == templates.exists() == taught
        expected = b"\x7fELF\0arm64\0amd64-other\0" if taught else b"\x7fELF\0amd64\0amd64-other\0"
        assert (programs / "dpkg").read_bytes() == expected
        assert not taught or library.read_bytes() == expected

    def test_a_path_in_a_program_keeps_its_length(self, tmp_path: Path) -> None:
        native = Architecture.AMD64
        program = tmp_path / "program"
        program.write_bytes(b"\x7fELF/lib64/ld-linux-x86-64.so.2\0/usr/lib/x86_64-linux-gnu/perl-base\0")
        twins._replace_paths(tmp_path, native)
        expected = b"\x7fELF/.boardwright-twins/ld.so\0\0\0/.boardwright-twins//libs/perl-base\0"
        assert program.read_bytes() == expected
