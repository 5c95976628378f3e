# SPDX-License-Identifier: MIT
"""dpkg's status file: every package of it is seen, whatever else stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
from debian.deb822 import Packages

from builder.disk.dpkg import read_packages, read_paragraphs
from builder.packaging.installed import read_installed

ROW = "Package: {}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
FIRST, SECOND = ROW.format("a"), ROW.format("b")
BETWEEN = {
    "a blank line": "\n",
    "two more": "\n\n\n",
    "a paragraph without fields": "\ngarbage\n\n",
    "a comment": "\n# no comment\n\n",
    "the end of a signature": "\n-----BEGIN PGP SIGNATURE-----\n\n",
    "a package without a name": "\nVersion: 1\n\n",
    "a separator of lines": "X: \u2028Package: c\x0cPackage: d\n\n",
}


@pytest.mark.parametrize("between", BETWEEN)
def test_no_package_is_hidden(between: str) -> None:
    status = f"{FIRST}{BETWEEN[between]}{SECOND}"
    assert list(read_packages(status)) == ["a", "b"]
    assert [each.name for each in read_installed(status, {}, {})] == ["a", "b"]


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda field: f"{field[:2].upper()}{field[2:].lower()}"])
@pytest.mark.parametrize("gap", ["", " ", "\t", "  "])
def test_fields_are_read_as_dpkg_reads_them(change: object, gap: str) -> None:
    assert callable(change)
    status = "".join(f"{change(name)}:{gap}{value}\n" for name, value in
                     (line.split(": ") for line in FIRST.splitlines()))  # fmt: skip
    (package,) = read_packages(status).values()
    assert (package.name, package.version, package.status) == ("a", "1", "install ok installed")


def test_configuration_files_are_listed_below_their_field() -> None:
    status = f"{FIRST}Conffiles:\n /etc/x {'0' * 32}\n /etc/y {'1' * 32} obsolete\nDescription: x\n /etc/z {'2' * 32}\n"
    assert read_packages(status)["a"].conffiles == {"/etc/x": "0" * 32, "/etc/y": "1" * 32}


@pytest.mark.machine
def test_python_debian_reads_the_same_from_this_machine() -> None:
    status = Path("/var/lib/dpkg/status").read_text(encoding="utf-8")
    ours = [{name: value for name, value in row.items() if name != "description"} for row in read_paragraphs(status)]
    theirs = [
        {
            name.lower(): value for name, value in row.items() if name != "Description"
        }  # It loses spaces at ends of lines.
        for row in Packages.iter_paragraphs(status.split("\n"), use_apt_pkg=False)
    ]
    assert len(ours) > 100
    assert ours == theirs
