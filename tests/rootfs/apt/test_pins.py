# SPDX-License-Identifier: MIT
"""A pin holds for the archive that it is written for, and for no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder import log
from builder.recipe.model import Archive as Asked
from builder.recipe.model import Key
from builder.rootfs.apt.archives import Archives
from builder.rootfs.apt.indexes import FORMAT, Index, read_indexes
from builder.rootfs.apt.pins import render_pins
from builder.rootfs.apt.sources import collect_keys
from tests.support.archive import Archive
from tests.support.keys import OpenPgpKey
from tests.support.log import Heard
from tests.support.rootfs_boards import plan_board, write_tiny

DEBIAN = Index("/lists/a", "http://deb.example/debian/", "trixie", "main", "Debian", "Debian", "trixie")
BACKPORTS = Index(
    "/lists/b", "http://deb.example/debian/", "trixie-backports", "main", "Debian Backports", "Backports", "trixie-bpo"
)


def _archive(suite: str, *, pin: int | None = None, url: str = "http://deb.example/debian") -> Asked:
    return Asked(url=url, suites=[suite], key=Key(file="/usr/share/keyrings/x.gpg"), pin=pin)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    sink = Heard("warn")
    with log.use(sink):
        yield sink.kept


def test_a_suite_is_read_once() -> None:
    line = "/lists/a\thttp://deb.example/debian/\ttrixie\tmain\tDebian\tDebian\ttrixie\n"
    assert FORMAT.count("\t") == line.count("\t")
    assert read_indexes(f"{line}{line}\nsomething else\n") == (DEBIAN,)


def test_a_pin_is_by_what_the_release_says(warnings: list[str]) -> None:
    archives = {"debian": _archive("trixie"), "backports": _archive("trixie-backports", pin=100)}
    assert render_pins(archives, [DEBIAN, BACKPORTS]) == (
        "Package: *\nPin: release o=Debian Backports,l=Backports,n=trixie-bpo\nPin-Priority: 100\n"
    )
    assert warnings == []


def test_archives_of_one_host_have_pins_of_their_own() -> None:
    archives = {"debian": _archive("trixie", pin=900), "backports": _archive("trixie-backports", pin=100)}
    first, second = render_pins(archives, [DEBIAN, BACKPORTS]).split("\n\n")
    assert first == "Package: *\nPin: release o=Debian,l=Debian,n=trixie\nPin-Priority: 900"
    assert second == "Package: *\nPin: release o=Debian Backports,l=Backports,n=trixie-bpo\nPin-Priority: 100\n"


def test_no_pin_is_asked_for() -> None:
    assert render_pins({"debian": _archive("trixie")}, [DEBIAN]) == ""


def test_two_archives_that_call_themselves_the_same(warnings: list[str]) -> None:
    other = replace(DEBIAN, url="http://mirror.example/")
    archives = {"debian": _archive("trixie"), "mirror": _archive("trixie", pin=-1, url="http://mirror.example")}
    render_pins(archives, [DEBIAN, other])
    assert warnings == ["archives.mirror: its pin also applies to archives.debian: both are o=Debian,l=Debian,n=trixie"]


@pytest.mark.parametrize("label", ["*", "/a/", "a,n=trixie", "a?", "[a]", "a\x1b"])
def test_what_a_release_says_is_no_pattern_and_no_other_condition(label: str) -> None:
    pins = render_pins({"debian": _archive("trixie", pin=900)}, [replace(DEBIAN, label=label)])
    assert pins == "Package: *\nPin: release o=Debian,n=trixie\nPin-Priority: 900\n"


def test_a_release_that_says_nothing(warnings: list[str]) -> None:
    nothing = Index("/lists/a", "http://[::1]:80/a/", "a", "main", "", "", "")
    archive = _archive("a", pin=900, url="http://[::1]:80/a")
    assert render_pins({"debian": archive}, [nothing]) == 'Package: *\nPin: origin "::1"\nPin-Priority: 900\n'
    assert warnings == ["archives.debian: its Release has no names to match; its pin applies to all archives on ::1"]


@pytest.mark.machine
@pytest.mark.parametrize(("pin", "chosen"), [("pin: 100", "1.0"), ("pin: 990", "2.0"), ("", "2.0")])
def test_apt_chooses_by_the_pin_of_one_suite(
    tmp_path: Path, make_archive: Callable[[], Archive], signer: OpenPgpKey, pin: str, chosen: str
) -> None:
    archive = make_archive()
    archive.add("base-files", fields="Essential: yes\n")
    for name in ("apt", "tiny-kernel", "tool"):
        archive.add(name)
    newer = replace(archive, debs=[])
    newer.add("tool", "2.0")
    newer.add("only-here", "3.0")
    archive.publish()
    newer.publish(suite="trixie-backports")
    signer.write_public(tmp_path / "boards/tiny/key.asc")
    backports = f"backports: {{url: {archive.url}, suites: [trixie-backports], key: {{file: key.asc}}, {pin}}}"
    extra = f"packages: {{more: [tool, only-here]}}\narchives:\n  {backports}\n"
    signer.write_public(tmp_path / "boards/board/key.asc")
    write_tiny(tmp_path / "boards", url=archive.url, key="key.asc", extra=extra)
    plan = plan_board(tmp_path / "boards", "board")
    keys = collect_keys(plan.recipe.archives, tmp_path / "cache")
    resolved = Archives(plan, keys, cache=tmp_path / "cache", log_file=tmp_path / "log").resolve()
    versions = {package.name: package.version for package in resolved.packages}
    assert (versions["tool"], versions["only-here"]) == (chosen, "3.0")
    assert resolved.supply.archives["only-here"] == "backports"
    assert resolved.supply.archives["tool"] == ("backports" if chosen == "2.0" else "debian")
    assert resolved.supply.archives["base-files"] == "debian"
    assert resolved.supply.overriding == ()
