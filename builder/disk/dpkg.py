# SPDX-License-Identifier: MIT
"""dpkg's database of a tree, read as text: packages, their state, and what their files should be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from builder.disk.entry import Entry
from builder.disk.filetree import FileTree
from builder.errors import VerifyError
from builder.system.paths import merge_into_usr
from builder.units import GIB

INFO = "/var/lib/dpkg/info"
SIZE = re.compile("[0-9]{1,12}")
FIELD = re.compile(r"^([^\s:]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
"""Of any case, with or without a space (deb-control(5))."""
MOST_HASHED = 16 * GIB
"""Of all that packages list; those of `rpi` are a tenth of it."""
PART = 100
"""Files that a thread compares before it asks for more: most are small, and asking takes longer than hashing one."""


Fields = Mapping[str, str]


@dataclass(frozen=True)
class DpkgPackage:
    """A package that dpkg knows of."""

    name: str
    version: str
    architecture: str
    status: str
    """Three words, "install ok installed" where all is well."""
    size_kib: int
    conffiles: Mapping[str, str]
    """MD5 of each configuration file as delivered; users and we may change these."""


def read_packages(status: str) -> Mapping[str, DpkgPackage]:
    """Return the packages of a status file by name, those removed but for their configuration included."""
    return {fields["package"]: _make_package(fields) for fields in read_paragraphs(status)}


def read_paragraphs(status: str) -> Iterator[Fields]:
    """Yield the fields of each package of a status file, by name in lower case; skip paragraphs without a package.

    Not by python-debian (1.1.1): it ends at a paragraph without fields and at "-----BEGIN PGP SIGNATURE-----". What a
    hostile image has after that would be skipped.
    """
    for paragraph in status.split("\n\n"):
        fields = {name.lower(): value.rstrip() for name, value in FIELD.findall(paragraph)}
        if "package" in fields:
            yield fields


def _make_package(fields: Fields) -> DpkgPackage:
    return DpkgPackage(
        name=fields["package"],
        version=fields.get("version", ""),
        architecture=fields.get("architecture", ""),
        status=fields.get("status", ""),
        size_kib=int(size) if SIZE.fullmatch(size := fields.get("installed-size", "")) else 0,
        conffiles=dict(re.findall(r"^ (/\S+) ([0-9a-f]{32})", fields.get("conffiles", ""), re.MULTILINE)),
    )


def find_changed_files(tree: FileTree) -> dict[str, str]:
    """Return every file of a package that is missing or not as delivered: the reason by path.

    Configuration files are not in the lists. All content is read and hashed: a gigabyte in about two seconds.
    """
    rows = [(path, digest, tree.find(path)) for path, digest in read_sums(tree)]
    _check_size(entry for _, _, entry in rows)
    parts = [rows[start : start + PART] for start in range(0, len(rows), PART)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        problems = pool.map(lambda part: [_compare(digest, entry) for _, digest, entry in part], parts)
        reasons = [reason for part in problems for reason in part]
    return {path: reason for (path, _, _), reason in zip(rows, reasons, strict=True) if reason}


def read_sums(tree: FileTree) -> list[tuple[str, str]]:
    """Return (path, MD5) of the files of packages, with the current path of diverted ones; no configuration files."""
    diversions = _read_diversions(tree)
    sums = []
    for listing in tree.glob(f"{INFO}/*.md5sums"):
        package = listing.path.removeprefix(f"{INFO}/").removesuffix(".md5sums").split(":")[0]
        for line in read_lines(listing):
            digest, _, name = line.partition("  ")
            path = f"/{name}"
            diverted_to, by = diversions.get(path, (path, package))
            sums.append((path if by == package else diverted_to, digest))
    return list(dict.fromkeys(sums))  # A list can have a line a million times.


def _check_size(entries: Iterable[Entry | None]) -> None:
    """Raise VerifyError for more content than can be hashed within minutes: names can lead to the same file."""
    total = sum(entry.size_bytes for entry in entries if entry)
    if total > MOST_HASHED:
        raise VerifyError(f"the lists of packages name files of {total} bytes; at most {MOST_HASHED} are hashed")


def _compare(digest: str, entry: Entry | None) -> str:
    if entry is None:
        return "is missing"
    return "is not as its package delivers it" if entry.hash("md5") != digest else ""


def _read_diversions(tree: FileTree) -> dict[str, tuple[str, str]]:
    """Return (new path, package that keeps the old one) by path; dpkg writes three lines for each."""
    lines = tree.file("/var/lib/dpkg/diversions").content_string.split("\n")
    return {path: (to, by) for path, to, by in zip(lines[::3], lines[1::3], lines[2::3], strict=False)}


def read_lines(listing: Entry) -> list[str]:
    """Return the lines of a list of dpkg, which ends each line with a line feed only."""
    return [line for line in listing.read().decode(errors="surrogateescape").split("\n") if line]


def read_owners(tree: FileTree) -> dict[str, str]:
    """Return the package of each path that a package lists; paths are merged into /usr."""
    return {
        merge_into_usr(path): listing.path.removeprefix(f"{INFO}/").removesuffix(".list").split(":")[0]
        for listing in tree.glob(f"{INFO}/*.list")
        for path in read_lines(listing)
    }


def read_diverted(tree: FileTree) -> set[str]:
    """Return where files of packages were diverted to, merged into /usr."""
    return {merge_into_usr(to) for to, _ in _read_diversions(tree).values()}
