# SPDX-License-Identifier: MIT
"""A private APT reads its own settings and nothing of this machine's."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.rootfs.apt.root import DIRECTORIES, make_root
from builder.system.process import run

OPTIONS = ('APT::Install-Recommends "false"', 'Acquire::Retries "7"')


@pytest.mark.machine
@pytest.mark.parametrize("architectures", [("arm64",), ("amd64", "riscv64")])
def test_apt_reads_what_was_written(tmp_path: Path, architectures: tuple[str, ...]) -> None:
    environment = make_root(tmp_path / "root", architectures=architectures, sources="Types: deb\n", options=OPTIONS)
    dumped = run(["apt-config", "dump"], env=environment).stdout.splitlines()
    assert f'Dir "{tmp_path / "root"}";' in dumped
    assert f'APT::Architecture "{architectures[0]}";' in dumped
    assert [line for line in dumped if line.startswith("APT::Architectures::")] == [
        f'APT::Architectures:: "{name}";' for name in architectures
    ]
    assert {f"{option};" for option in OPTIONS} <= set(dumped)
    assert (tmp_path / "root/etc/apt/sources.list.d/target.sources").read_text() == "Types: deb\n"


def test_it_is_made_again_over_what_is_there(tmp_path: Path) -> None:
    for sources in ("old", "new"):
        make_root(tmp_path, architectures=("arm64",), sources=sources, options=())
        assert (tmp_path / "etc/apt/sources.list.d/target.sources").read_text() == sources
    assert all((tmp_path / name).is_dir() for name in DIRECTORIES)
    assert (tmp_path / "var/lib/dpkg/status").read_text() == "", "nothing is installed"
