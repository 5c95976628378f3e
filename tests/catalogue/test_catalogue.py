# SPDX-License-Identifier: MIT
"""The files of the catalogue: which there are, that they are the same each time, and the page, read by a parser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from builder.catalogue.addresses import Addresses
from builder.catalogue.download_page import SITE, PublisherPage, make_cards
from builder.catalogue.listing import sort_releases
from builder.catalogue.make import make_catalogue
from builder.packaging.model import Channel, Release
from tests.support.published import Published

BASE = "https://images.example.org/os"
KEY = "RWSkXsJeJGSiyVcjbz6ZvO3/Ozvqszg2OUpxzM3sPpXl2xh1Pqi5GEUF"
VOID = {"meta", "link", "path", "rect", "br", "img"}


class Place:
    """Releases v0.9, v1.0 (stable) and v1.1-rc1 (latest), and the directory they are in."""

    def __init__(self, tree: Path) -> None:
        self.published = Published(tree, None)
        self.releases = [self.published.release(tag) for tag in ("v0.9", "v1.0", "v1.1-rc1")]
        self.channels = [
            self.published.name("stable", self.releases[1]),
            self.published.name("latest", self.releases[2]),
        ]

    def make(self, addresses: Addresses, site: PublisherPage | None = None) -> dict[str, bytes]:
        return dict(make_catalogue(self.releases, self.channels, addresses, site or PublisherPage(key=KEY)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("srv"))


class Page(HTMLParser):
    """What a browser would see, as far as the tests ask."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(content.decode())
        assert not self.open, "everything is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data.replace(" \\\n ", "")

    def all(self, name: str, tag: str = "") -> list[str]:
        return [values[name] for each, values in self.tags if name in values and tag in ("", each)]


@pytest.fixture(scope="module")
def page(place: Place) -> Page:
    return Page(place.make(Addresses(BASE))["index.html"])


def test_the_files_of_the_catalogue(place: Place) -> None:
    files = place.make(Addresses(BASE))
    manifests = [f"boardwright-rpi-{version}.rpi-imager-manifest" for version in ("0.9", "1.0", "1.1-rc1")]
    assert sorted(files) == sorted(["index.html", "boardwright.svg", "os-list.json", *manifests])
    assert json.loads(files["os-list.json"])["os_list"]


def test_the_same_input_gives_the_same_bytes(place: Place) -> None:
    assert place.make(Addresses(BASE)) == place.make(Addresses(BASE))


def test_without_a_public_address_there_is_only_the_page(place: Place) -> None:
    files = place.make(Addresses())
    assert sorted(files) == ["boardwright.svg", "index.html"]
    made = Page(files["index.html"])
    assert not [link for link in made.all("href") if link.startswith("/")]
    assert "os-list.json" not in made.text


def test_before_the_first_release_the_page_says_so() -> None:
    made = Page(make_catalogue([], [], Addresses(BASE))["index.html"])
    assert "Nothing has been released yet" in made.text


def test_every_link_leads_to_a_file_of_the_release(page: Page, place: Place) -> None:
    links = [link for link in page.all("href", "a") if not link.startswith(("#", "https://"))]
    assert len(links) > 30
    assert not [link for link in links if not (place.published.tree / link).is_file()]
    own = {link.removeprefix(f"{BASE}/") for link in page.all("href", "a") if link.startswith(BASE)}
    assert own <= set(place.make(Addresses(BASE)))


def test_every_link_within_the_page_has_its_place(page: Page) -> None:
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.all("href", "a") if link.startswith("#")} <= set(ids)
    assert {"board-rpi", "board-qemu-arm64"} <= set(ids)


def test_on_github_links_are_whole(place: Place) -> None:
    base = "https://github.com/o/r/releases/download"
    made = Page(place.make(Addresses(base, flat=True, catalogue="https://o.github.io/r"))["index.html"])
    assert f"{base}/v1.0/boardwright-rpi-1.0.img.xz" in made.all("href", "a")
    assert "https://o.github.io/r/os-list.json" in made.all("href", "a")
    assert "boardwright fetch rpi --from https://github.com/o/r --key" in made.text


def test_everything_of_a_board_is_there(page: Page, place: Place) -> None:
    package = place.releases[1].boards["rpi"].image
    for sentence in (
        *(package.title, "64-bit Arm", "bluetooth, ethernet, gpio, wifi", "1.0", "stable", "615 tests passed"),
        *("SBOM, SPDX", "Block map", "Packages", "Test report", "Checksums", "Description"),
        *(file.sha256 for file in package.files if file.role == "image"),
        *("1.1-rc1", "latest", "Older releases", "no default password", "ssh pirate@boardwright.local"),
        *(f"{BASE}/os-list.json", "bmaptool copy boardwright-rpi-1.0.img.xz", "xz -dc boardwright-rpi-1.0.img.xz"),
        *(f"boardwright fetch rpi --from {BASE} --key {KEY}", f"minisign -Vm boardwright-rpi-1.0.SHA256SUMS -P {KEY}"),
        *("sha256sum --check --ignore-missing boardwright-rpi-1.0.SHA256SUMS", f"--release {BASE}/v1.0/rpi --key"),
    ):
        assert sentence in page.text, sentence


def test_without_a_key_nothing_is_said_of_signatures(place: Place) -> None:
    text = Page(place.make(Addresses(BASE), PublisherPage())["index.html"]).text
    assert "minisign -V" not in text
    assert "--key" not in text
    assert "are signed" not in text


def test_signatures_stand_behind_what_they_sign(place: Place) -> None:
    files = place.releases[1].boards["rpi"].image.files
    model = next(file for file in files if file.role == "sums")
    endings = (".provenance.json", ".provenance.json.minisig", ".SHA256SUMS.minisig", ".SHA256SUMS.asc", ".notes")
    more = [model.model_copy(update={"name": f"boardwright-rpi-1.0{each}", "role": "other"}) for each in endings]
    release = change(place.releases[1], files=[*files, *more])
    made = Page(make_catalogue([], [channel_of(release)], Addresses(BASE))["index.html"])
    for label in ("Provenance: signature", "Checksums: signature", "Checksums: GPG signature", "Notes"):
        assert label in made.text


def test_imager_is_named_only_where_it_has_something_to_show(place: Place, page: Page) -> None:
    release = place.releases[1]
    virtual = release.model_copy(update={"boards": {"qemu-arm64": release.boards["qemu-arm64"]}})
    text = Page(make_catalogue([], [channel_of(virtual)], Addresses(BASE))["index.html"]).text
    assert "Content Repository" in page.text
    assert "Content Repository" not in text


def test_virtual_machines_come_last(place: Place) -> None:
    cards = make_cards(sort_releases(place.releases, place.channels), Addresses(BASE))
    assert [card.name for card in cards] == ["rpi", "qemu-arm64"]
    assert [offer.channel for offer in cards[0].offers] == ["stable", "latest"]


def change(release: Release, **package: Any) -> Release:
    released = release.boards["rpi"]
    changed = released.model_copy(update={"image": released.image.model_copy(update=package)})
    return release.model_copy(update={"boards": release.boards | {"rpi": changed}})


def channel_of(release: Release) -> Channel:
    return Channel(channel="stable", release=release, history=[])


def test_what_a_release_says_is_text_and_nothing_else(place: Place) -> None:
    evil = """</title><script>alert(1)</script>"'><img src=x onerror=alert(1)>"""
    release = change(place.releases[1], title=evil, version=evil, features=[evil], architecture=evil)
    content = make_catalogue([], [channel_of(release)], Addresses(BASE), PublisherPage(title=evil, key=evil))[
        "index.html"
    ]
    made = Page(content)
    assert [tag for tag, _ in made.tags].count("script") == 1
    assert not made.all("onerror")
    assert not made.all("src")
    assert evil in made.text


def test_only_our_script_and_style_are_allowed(place: Place) -> None:
    text = place.make(Addresses(BASE))["index.html"].decode()
    policy = unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0])
    assert policy.startswith("default-src 'none'")
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_page_needs_nothing_else(page: Page) -> None:
    assert not page.all("src")
    assert [link for link in page.all("href", "link") if not link.startswith("data:")] == []
    assert "url(" not in (SITE / "page.css").read_text(encoding="utf-8")
    assert "@import" not in (SITE / "page.css").read_text(encoding="utf-8")


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    assert page.all("lang", "html") == ["en"]
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later <= before + 1 for before, later in pairwise(levels))
    links = [values for tag, values in page.tags if tag == "a"]
    assert all(values.get("href") for values in links)
    assert page.all("role") == ["img", "region", "status"]


def test_text_has_contrast_in_light_and_dark() -> None:
    """At least 4.5 to 1, as WCAG 2.2 (success criterion 1.4.3) has it."""
    themes = re.findall(r":root \{(.*?)\}", (SITE / "page.css").read_text(encoding="utf-8"), re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", theme))
        for text, ground in (
            *((text, ground) for text in ("ink", "soft", "link") for ground in ("paper", "card")),
            *(("on-brand", "brand"), ("mark", "mark-bg"), ("ink", "code"), ("ink", "mark-bg"), ("soft", "code")),
        ):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_board_without_tests_or_images_is_shown_without_them(place: Place) -> None:
    package = place.releases[1].boards["rpi"].image
    bare = change(place.releases[1], specs=None, files=[file for file in package.files if file.role != "image"])
    made = Page(make_catalogue([], [channel_of(bare)], Addresses(BASE))["index.html"])
    assert package.title in made.text
    assert made.text.count("tests passed") == 1, "those of the other board"
    assert "bmaptool copy boardwright-qemu-arm64-1.0" in made.text
