# SPDX-License-Identifier: MIT
"""Where packages come from, by the digests in small indexes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import ValidationError

from builder.recipe.model import Archive, Key
from builder.rootfs.apt.indexes import Index
from builder.rootfs.apt.supply import Archived, Supply, find_supply
from builder.rootfs.records import SupplyRecord

URL = "http://deb.example/debian"
PACKAGES = {
    "trixie main": {"tool": "1.0", "less": "1.0"},
    "trixie-backports main": {"tool": "2.0", "only-here": "3.0"},
    "trixie-backports contrib": {"other": "1.0"},
}


def _digest(name: str, version: str) -> str:
    return f"{name} {version}".encode().hex().zfill(64)


def _find(tmp_path: Path, chosen: dict[str, str], *, pin: int | None = 100, asked: tuple[str, ...] = ()) -> Supply:
    indexes = []
    for place, packages in PACKAGES.items():
        index = tmp_path / place.replace(" ", "_")
        entries = (f"Package: {name}\nSHA256: {_digest(name, version)}\n" for name, version in packages.items())
        index.write_text("\n".join(entries))
        suite, component = place.split(" ")
        indexes.append(Index(str(index), f"{URL}/", suite, component, "", "", ""))
    key = Key(file="/usr/share/keyrings/x.gpg")
    archives = {  # The pinned one first: order alone decides nothing.
        "backports": Archive(url=URL, suites=["trixie-backports"], components=["main"], key=key, pin=pin),
        "debian": Archive(url=URL, suites=["trixie"], components=["main"], key=key),
    }
    wanted = [Archived(name, version, "arm64", name, 1, _digest(name, version)) for name, version in chosen.items()]
    return find_supply(wanted, archives, asked, indexes)


def test_each_package_is_of_the_archive_whose_index_has_its_digest(tmp_path: Path) -> None:
    supply = _find(tmp_path, {"tool": "1.0", "less": "1.0", "only-here": "3.0", "other": "1.0"})
    assert supply == Supply({"less": "debian", "only-here": "backports", "tool": "debian"})
    assert supply.find_warnings() == []


def test_an_archive_that_wins_with_a_low_pin_is_warned_of(tmp_path: Path) -> None:
    supply = _find(tmp_path, {"tool": "2.0", "only-here": "3.0"})
    assert supply.overriding == ("tool",)
    assert supply.find_warnings() == [
        "archives.backports: its pin is low, but it overrides packages of other archives: tool"
    ]


NEWER = ("tool/trixie-backports",)


@pytest.mark.parametrize(("pin", "asked"), [(None, ()), (990, ()), (100, NEWER), (100, ("tool=2.0",))])
def test_an_archive_that_is_to_win_is_not(tmp_path: Path, pin: int | None, asked: tuple[str, ...]) -> None:
    assert _find(tmp_path, {"tool": "2.0"}, pin=pin, asked=asked).overriding == ()


def test_a_record_says_the_same() -> None:
    supply = Supply({"tool": "backports"}, ("tool",))
    assert SupplyRecord.model_validate_json(json.dumps(asdict(supply))).supply == supply
    with pytest.raises(ValidationError, match="overriding: found other; expected a package of"):
        SupplyRecord(archives={"tool": "backports"}, overriding=("other",))
