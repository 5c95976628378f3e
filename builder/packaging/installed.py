# SPDX-License-Identifier: MIT
"""Read the installed packages of an image from its dpkg database and Debian's copyright files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from debian.deb822 import PkgRelation
from packageurl import PackageURL

from builder.disk.dpkg import Fields, read_paragraphs
from builder.errors import ReleaseError
from builder.packaging.licences import find_licence

INSTALLED = "install ok installed"
FIELDS = {
    "Package": r"[a-z0-9][a-z0-9+.-]*",
    "Version": r"([0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*",
    "Architecture": r"[a-z0-9-]+",
    "Installed-Size": r"[0-9]{0,12}",
    "Section": r"[!-~]*",
    "Source": r"([a-z0-9][a-z0-9+.-]*( \([^()\s]+\))?)?",
    "Homepage": r"[!-~]*",
    "Maintainer": r".{0,500}",
}
"""Allowed values of fields (deb-control(5))."""
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")


@dataclass(frozen=True)
class Installed:
    """An installed package."""

    name: str
    version: str
    architecture: str
    size_kib: int
    section: str
    source: str
    """Name of the source package."""
    source_version: str
    maintainer: str
    """"Name <address>"."""
    homepage: str
    depends: tuple[str, ...]
    """Keys of the installed packages that it depends on."""
    licence: str
    """SPDX expression of the licences of its source; empty if uncertain."""
    sha256: str
    """Digest of its .deb; empty if not recorded."""

    @property
    def maintainer_parts(self) -> tuple[str, str | None]:
        """Name and address of the maintainer; "" and None if missing."""
        name, _, rest = self.maintainer.partition("<")
        address = rest.strip().removesuffix(">")
        return name.strip().strip('"').strip(), address if _ADDRESS.fullmatch(address) else None

    @property
    def key(self) -> str:
        """Unique key: "libc6:arm64"."""
        return f"{self.name}:{self.architecture}"

    def purl(self, suite: str) -> PackageURL:
        """Return its package URL (github.com/package-url/purl-spec, type deb)."""
        qualifiers = {"arch": self.architecture, "distro": suite}
        return PackageURL("deb", "debian", self.name, self.version, qualifiers=qualifiers)


def read_installed(
    status: str, copyrights: Mapping[str, str], digests: Mapping[str, tuple[str, str]]
) -> tuple[Installed, ...]:
    """Return the installed packages, sorted by name, architecture and version.

    status      /var/lib/dpkg/status
    copyrights  text of /usr/share/doc/NAME/copyright by package name, if it exists
    digests     (version, SHA-256 of the .deb) by package name, if known
    """
    rows = [row for row in read_paragraphs(status) if row.get("status") == INSTALLED]
    for row in rows:
        _check(row)
    providers = _find_providers(rows)
    licences = {name: find_licence(text) for name, text in copyrights.items()}
    packages = [_make(row, providers, licences, digests) for row in rows]
    return tuple(sorted(packages, key=lambda package: (package.name, package.architecture, package.version)))


def _check(row: Fields) -> None:
    """Raise ReleaseError for a package that dpkg could not have installed."""
    name = row.get("package", "")
    for field, pattern in FIELDS.items():
        value = row.get(field.lower(), "")
        if not re.fullmatch(pattern, value):
            raise ReleaseError(
                f"dpkg's database of the image: package {name[:80]!r} has an invalid {field}: {value[:80]!r}",
                hint="the image is damaged, or dpkg did not write its database: build it again",
            )


def _make(
    row: Fields,
    providers: Mapping[str, list[str]],
    licences: Mapping[str, str],
    digests: Mapping[str, tuple[str, str]],
) -> Installed:
    name, version = row["package"], row["version"]
    source, source_version = _read_source(row)
    known, sha256 = digests.get(name, ("", ""))
    return Installed(
        name=name,
        version=version,
        architecture=row["architecture"],
        size_kib=int(row.get("installed-size") or "0"),
        section=row.get("section", ""),
        source=source,
        source_version=source_version,
        maintainer=row.get("maintainer", ""),
        homepage=row.get("homepage", "").strip("<>"),
        depends=tuple(_find_depends(row, providers)),
        licence=licences.get(name, ""),
        sha256=sha256 if known == version else "",
    )


def _read_source(row: Fields) -> tuple[str, str]:
    """Return name and version of the source package; dpkg leaves out those that equal the package's own."""
    match = re.fullmatch(r"(\S+)(?: \((.+)\))?", row.get("source", "")) if row.get("source") else None
    return (match[1], match[2] or row["version"]) if match else (row["package"], row["version"])


def _find_providers(rows: Iterable[Fields]) -> dict[str, list[str]]:
    """Return the keys of the packages that have a name or provide it; those that have it come first."""
    providers: dict[str, list[str]] = {}
    rows = list(rows)
    for row in rows:
        providers.setdefault(row["package"], []).append(f"{row['package']}:{row['architecture']}")
    for row in rows:
        for group in _read_relations(row, "provides"):
            for name in group:
                providers.setdefault(name, []).append(f"{row['package']}:{row['architecture']}")
    return providers


def _read_relations(row: Fields, field: str) -> list[list[str]]:
    """Return the names of packages in a field, alternatives together."""
    groups = PkgRelation.parse_relations(row[field]) if row.get(field) else []
    return [[str(relation["name"]) for relation in group] for group in groups]


def _find_depends(row: Fields, providers: Mapping[str, list[str]]) -> list[str]:
    """Return the keys of the dependencies: for each, the first alternative that is installed."""
    keys = set()
    for group in [*_read_relations(row, "pre-depends"), *_read_relations(row, "depends")]:
        providing = next((providers[name] for name in group if name in providers), [])
        same_architecture = [key for key in providing if key.endswith((f":{row['architecture']}", ":all"))]
        keys.update((same_architecture or providing)[:1])
    keys.discard(f"{row['package']}:{row['architecture']}")
    return sorted(keys)


def read_architecture(purl: str) -> str:
    """Return the architecture in a package URL, or ""."""
    return dict(parse_qsl(purl.partition("#")[0].partition("?")[2])).get("arch", "")
