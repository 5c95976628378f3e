# SPDX-License-Identifier: MIT
"""Keys that packages make for one machine: none is in an image, and each board makes its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.rootfs.private_keys import OWN_KEYS, OwnKey, remove_own_keys, write_key_units


@pytest.mark.parametrize("key", OWN_KEYS, ids=lambda key: key.name)
def test_a_key_goes_with_the_links_to_it(tmp_path: Path, key: OwnKey) -> None:
    for place in key.files:
        path = tmp_path / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        (path.parent / "by-hash").symlink_to(path.name)
        (path.parent / "by-path").symlink_to(place)
        (path.parent / "other").symlink_to("else")
        (path.parent / "file").touch()
    (tmp_path / "etc/service").mkdir()
    (tmp_path / "etc/service/cert").symlink_to(key.files[0])  # Of a package that uses it: it leads there again.
    remove_own_keys(tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if not path.is_dir()} == {"other", "file", "cert"}
    remove_own_keys(tmp_path / "empty")


@pytest.mark.parametrize("key", OWN_KEYS, ids=lambda key: key.name)
def test_a_board_makes_its_own(tmp_path: Path, key: OwnKey) -> None:
    write_key_units(tmp_path)
    assert list(tmp_path.iterdir()) == []
    program = tmp_path / key.argv[0].lstrip("/")
    program.parent.mkdir(parents=True)
    program.touch()
    write_key_units(tmp_path)
    write_key_units(tmp_path)
    name = f"boardwright-{key.name}.service"
    unit = tmp_path / "etc/systemd/system" / name
    assert (unit.parent / "sysinit.target.wants" / name).resolve() == unit
    lines = unit.read_text().splitlines()
    assert f"ExecStart={' '.join(key.argv)}" in lines
    assert f"ConditionPathExists=!{key.files[0]}" in lines
