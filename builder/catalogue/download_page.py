# SPDX-License-Identifier: MIT
"""Render the download page of the releases: one self-contained HTML file.

It works without scripts; the one in it adds copy buttons. All text from releases is escaped, and the page's content
security policy allows only that script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from builder.architecture import find_architecture
from builder.catalogue.addresses import Addresses
from builder.catalogue.imager import MANIFEST, OS_LIST, image_for_imager
from builder.catalogue.listing import ReleaseList
from builder.compression import PREFERRED
from builder.packaging.model import PackagedFile, PackagedImage, Release, Released
from builder.units import render_size

SITE = Path(__file__).with_name("site")
LABELS = (
    (".manifest.json", "Description"),
    (".provenance.json", "Provenance"),
    (".SHA256SUMS", "Checksums"),
    (".bmap", "Block map"),
    (".packages", "Packages"),
    (".spdx.json", "SBOM, SPDX"),
    (".cdx.json", "SBOM, CycloneDX"),
    (".html", "Test report"),
    (".specs.xml", "Test report, JUnit"),
    (".specs.json", "Test report, JSON"),
)
"""Labels of files by the end of their names."""
ROLES = {
    "bmap": "Block map",
    "packages": "Packages",
    "sbom": "SBOM",
    "report": "Test report",
    "provenance": "Provenance",
    "sums": "Checksums",
}
"""Labels of files by role, if the name has no label."""


@dataclass(frozen=True)
class PublisherPage:
    """Texts of the page besides the releases."""

    title: str = "Boardwright"
    key: str = ""
    """Public key of the publisher, one line; empty if releases are not signed."""
    website: str = ""
    """URL of the project; empty for no link."""


@dataclass(frozen=True)
class Link:
    """A file to download."""

    label: str
    url: str
    name: str
    size: str
    sha256: str


@dataclass(frozen=True)
class BoardDownload:
    """A board in one release."""

    channel: str
    """"stable", "latest"; empty for an older release."""
    tag: str
    version: str
    date: datetime
    title: str
    disk_size: str
    tests: str
    images: tuple[Link, ...]
    manifest: str
    """URL of the manifest for Raspberry Pi Imager; empty if Imager does not know the board."""
    files: tuple[Link, ...]


@dataclass(frozen=True)
class Card:
    """A board with its current downloads."""

    name: str
    title: str
    architecture: str
    features: tuple[str, ...]
    offers: tuple[BoardDownload, ...]
    """At least one."""


def make_page(listed: ReleaseList, addresses: Addresses, site: PublisherPage) -> bytes:
    """Return the page as UTF-8."""
    environment = Environment(
        loader=FileSystemLoader(SITE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["day"] = lambda moment: f"{moment.day} {moment:%B %Y}"
    script = (SITE / "page.js").read_text(encoding="utf-8")
    style = (SITE / "page.css").read_text(encoding="utf-8")
    icon = (SITE / "boardwright.svg").read_bytes()
    cards = make_cards(listed, addresses)
    text = environment.get_template("page.html").render(
        site=site,
        cards=cards,
        example=next((card for card in cards if card.offers[0].images), None),
        older=[_older(release, addresses) for release in listed.older],
        releases=_place_to_fetch(addresses),
        unpack={compression.image_suffix: compression.row.by_hand for compression in PREFERRED},
        public=addresses.public,
        imager=any(offer.manifest for card in cards for offer in card.offers),
        os_list=addresses.catalogue_file(OS_LIST),
        script=Markup(script),  # noqa: S704 - our own file
        style=Markup(style),  # noqa: S704 - our own file
        script_digest=_digest(script),
        style_digest=_digest(style),
        logo=Markup(icon.decode()),  # noqa: S704 - our own file
        icon="data:image/svg+xml;base64," + base64.b64encode(icon).decode(),
    )
    return text.encode()


def make_cards(listed: ReleaseList, addresses: Addresses) -> list[Card]:
    """Return the boards with current downloads: hardware first, then virtual machines."""
    named: list[tuple[str, Release]] = [("stable", listed.stable)] if listed.stable else []
    named += [(channel.channel, channel.release) for channel in listed.moving]
    boards = {name: released.image for _, release in reversed(named) for name, released in release.boards.items()}
    cards = []
    for name, package in sorted(boards.items(), key=lambda item: ("virtual" in item[1].features, item[0])):
        offers = [_offer(channel, release, name, addresses) for channel, release in named if name in release.boards]
        known = find_architecture(package.architecture)
        architecture = known.row.title if known else package.architecture
        cards.append(Card(name, package.title, architecture, tuple(package.features), tuple(offers)))
    return cards


def _older(release: Release, addresses: Addresses) -> tuple[Release, list[BoardDownload]]:
    return release, [_offer("", release, board, addresses) for board in sorted(release.boards)]


def _offer(channel: str, release: Release, board: str, addresses: Addresses) -> BoardDownload:
    released = release.boards[board]
    package = released.image
    image = image_for_imager(package)
    return BoardDownload(
        channel=channel,
        tag=release.tag,
        version=package.version,
        date=release.date,
        title=package.title,
        disk_size=render_size(package.image_size_bytes),
        tests=_tests(package),
        images=tuple(_images(release.tag, board, package, addresses)),
        manifest=addresses.catalogue_file(f"{package.name}{MANIFEST}") if image and addresses.public else "",
        files=tuple(_files(release.tag, board, released, addresses)),
    )


def _tests(package: PackagedImage) -> str:
    specs = package.specs
    if specs is None or specs.failed:
        return "Unverified: its tests were not run, or not all of them passed"
    return f"{specs.passed} tests passed on this very image ({', '.join(specs.levels)})"


def _images(tag: str, board: str, package: PackagedImage, addresses: Addresses) -> Iterator[Link]:
    by_name = {file.name: file for file in package.files if file.role == "image"}
    for compression in PREFERRED:
        if file := by_name.get(f"{package.name}{compression.image_suffix}"):
            yield _link(compression.image_suffix, tag, board, file, addresses)


def _files(tag: str, board: str, released: Released, addresses: Addresses) -> Iterator[Link]:
    """Yield all files except the images; a signature follows the file that it signs."""
    for file in sorted(released.files, key=lambda file: file.name):
        if file.role != "image":
            yield _link(_label(file), tag, board, file, addresses)


def _label(file: PackagedFile) -> str:
    for ending, kind in ((".minisig", "signature"), (".asc", "GPG signature")):
        if file.name.endswith(ending):
            signed = file.name.removesuffix(ending)
            return f"{_label(file.model_copy(update={'name': signed, 'role': 'other'}))}: {kind}"
    ending = next((label for end, label in LABELS if file.name.endswith(end)), "")
    return ending or ROLES.get(file.role) or file.name.rpartition(".")[2].capitalize()


def _link(label: str, tag: str, board: str, file: PackagedFile, addresses: Addresses) -> Link:
    url = addresses.link(tag, board, file.name)
    return Link(label, url, file.name, render_size(file.size_bytes), file.sha256)


def _place_to_fetch(addresses: Addresses) -> str:
    """Return the argument of `boardwright fetch --from`, or "" if it is not known."""
    if addresses.flat:
        return addresses.releases.removesuffix("/releases/download")
    return addresses.releases


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
