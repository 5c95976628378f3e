# SPDX-License-Identifier: MIT
"""dpkg's database of a tree, read as text: packages, their state, and what their files should be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from builder.verify.tree import Tree

INFO = "/var/lib/dpkg/info"
PART = 100
"""Files that a thread compares before it asks for more: most are small, and asking takes longer than hashing one."""


@dataclass(frozen=True)
class Package:
    """A package that dpkg knows of."""

    name: str
    version: str
    architecture: str
    status: str
    """Three words, "install ok installed" where all is well."""
    size_kib: int
    conffiles: Mapping[str, str]
    """MD5 of each configuration file as delivered; users and we may change these."""


def read_packages(status: str) -> Mapping[str, Package]:
    """Return the packages of a status file by name, those removed but for their configuration included."""
    return {package.name: package for package in _parse(status)}


def _parse(status: str) -> Iterator[Package]:
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \n]((?:.*)(?:\n[ \t].*)*)", paragraph, re.MULTILINE))
        if "Package" in fields:
            yield Package(
                name=fields["Package"],
                version=fields.get("Version", ""),
                architecture=fields.get("Architecture", ""),
                status=fields.get("Status", ""),
                size_kib=int(fields.get("Installed-Size", "0")),
                conffiles=dict(re.findall(r"^ (/\S+) ([0-9a-f]{32})", fields.get("Conffiles", ""), re.MULTILINE)),
            )


def find_changed_files(tree: Tree) -> list[str]:
    """Return every file of a package that is missing or not as delivered, with the reason.

    Configuration files are not in the lists. All content is read and hashed: a gigabyte in about two seconds.
    """
    diversions = _read_diversions(tree)
    wanted = []
    for listing in tree.glob(f"{INFO}/*.md5sums"):
        package = listing.path.removeprefix(f"{INFO}/").removesuffix(".md5sums").split(":")[0]
        for line in listing.read().decode(errors="surrogateescape").splitlines():
            digest, _, name = line.partition("  ")
            path = f"/{name}"
            diverted_to, by = diversions.get(path, (path, package))
            wanted.append((path if by == package else diverted_to, digest))
    parts = [wanted[start : start + PART] for start in range(0, len(wanted), PART)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        problems = pool.map(lambda part: [_compare(tree, *each) for each in part], parts)
        return [problem for part in problems for problem in part if problem]


def _compare(tree: Tree, path: str, digest: str) -> str:
    entry = tree.find(path)
    if entry is None:
        return f"{path} is missing"
    if entry.hash("md5") != digest:
        return f"{path} is not as its package delivers it"
    return ""


def _read_diversions(tree: Tree) -> dict[str, tuple[str, str]]:
    """Return (new place, package that keeps the old one) by path; dpkg writes three lines for each."""
    lines = tree.file("/var/lib/dpkg/diversions").content_string.splitlines()
    return {path: (to, by) for path, to, by in zip(lines[::3], lines[1::3], lines[2::3], strict=False)}


def read_listed(tree: Tree) -> dict[str, str]:
    """Return the package of every path that one says is its own."""
    return {
        path: listing.path.removeprefix(f"{INFO}/").removesuffix(".list").split(":")[0]
        for listing in tree.glob(f"{INFO}/*.list")
        for path in listing.read().decode(errors="surrogateescape").splitlines()
    }


def read_diverted(tree: Tree) -> set[str]:
    """Return where files of packages were diverted to."""
    return {to for to, _ in _read_diversions(tree).values()}
