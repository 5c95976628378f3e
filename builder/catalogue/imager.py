# SPDX-License-Identifier: MIT
"""Write files for Raspberry Pi Imager: a list of systems, and one manifest for each image.

    os-list.json                   "Content Repository" of Imager's options; systems by channel and board
    <name>.rpi-imager-manifest     one image; opened by a double click

Format: https://github.com/raspberrypi/rpi-imager, doc/json-schema and doc/os_customisation_formats.md. Imager shows a
system if one of its `devices` is among the `tags` of the selected device. `extract_*` describe the disk,
`image_download_*` the compressed file. With a wrong extract_sha256 Imager leaves the card without its first MiB.

`init_format: cloudinit`: Imager writes user-data, network-config and meta-data (with its own instance-id) into the root
of the FAT partition, where the images read them. It appends ` ds=nocloud;i=...` to cmdline.txt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema

from builder.architecture import find_architecture
from builder.catalogue.addresses import Addresses
from builder.catalogue.listing import ReleaseList
from builder.compression import FOR_IMAGER
from builder.errors import ReleaseError
from builder.packaging.model import PackagedFile, PackagedImage, Release

OS_LIST = "os-list.json"
MANIFEST = ".rpi-imager-manifest"
ICON = "boardwright.svg"
SCHEMA = Path(__file__).with_name("imager.schema.json")
DEVICES = {
    "pi5": ("Raspberry Pi 5", "5, 500 and Compute Module 5"),
    "pi4": ("Raspberry Pi 4", "4 B, 400 and Compute Module 4"),
    "pi3": ("Raspberry Pi 3", "3 A+, 3 B, 3 B+, Zero 2 W and Compute Module 3"),
    "pi2": ("Raspberry Pi 2", "2 B"),
    "pi1": ("Raspberry Pi 1", "1, Zero, Zero W and Compute Module 1"),
}
"""Names and descriptions in Imager's own list, by the beginning of a tag."""

Item = dict[str, Any]


def make_os_list(listed: ReleaseList, addresses: Addresses) -> Item:
    """Return the list: boards of the stable release first, then other channels and older releases as groups.

    It contains only boards that Imager knows. Raises ReleaseError if the result is not valid for Imager.
    """
    items = [*_items(listed.stable, addresses)] if listed.stable else []
    for channel in listed.moving:
        text = f"{channel.release.tag}: newer, and less tested"
        items += _group(f"Channel {channel.channel}", text, [channel.release], addresses)
    items += _group("Older releases", "Earlier stable releases", listed.older, addresses)
    return _checked({"imager": {"devices": _devices(_all_packages(listed), addresses)}, "os_list": items}, OS_LIST)


def make_manifests(listed: ReleaseList, addresses: Addresses) -> dict[str, Item]:
    """Return a manifest for each image of a board that Imager knows, by file name; ReleaseError if it is not valid."""
    manifests = {}
    for release in listed.releases:
        for item, package in _systems(release, addresses):
            name = f"{package.name}{MANIFEST}"
            manifests[name] = _checked({"imager": {"devices": _devices([package], addresses)}, "os_list": [item]}, name)
    return manifests


def image_for_imager(package: PackagedImage) -> PackagedFile | None:
    """Return the best image for Imager; None without an image, or if Imager does not list the hardware."""
    by_name = {file.name: file for file in package.files if file.role == "image"}
    names = (f"{package.name}{compression.image_suffix}" for compression in FOR_IMAGER)
    return next((by_name[name] for name in names if name in by_name), None) if package.imager else None


def render(document: Item) -> bytes:
    """Return a document as JSON bytes."""
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def check_document(document: object, name: str) -> None:
    """Raise ReleaseError with the first fault and its path if a document is not valid for Imager."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    fault = jsonschema.exceptions.best_match(jsonschema.Draft7Validator(schema).iter_errors(document))
    if fault is not None:
        path = "/".join(map(str, fault.absolute_path)) or "the whole document"
        raise ReleaseError(
            f"{name}, {path}: {fault.message}", hint="Raspberry Pi Imager would reject it; please report this"
        )


def _checked(document: Item, name: str) -> Item:
    check_document(document, name)
    return document


def _group(name: str, text: str, releases: Sequence[Release], addresses: Addresses) -> list[Item]:
    """Return a list with the group, or [] if the group would be empty."""
    items = [item for release in releases for item in _items(release, addresses)]
    icon = addresses.catalogue_file(ICON)
    return [{"name": name, "description": text, "icon": icon, "subitems": items}] if items else []


def _items(release: Release, addresses: Addresses) -> Iterator[Item]:
    return (item for item, _ in _systems(release, addresses))


def _systems(release: Release, addresses: Addresses) -> Iterator[tuple[Item, PackagedImage]]:
    for board, released in release.boards.items():
        package = released.image
        if image := image_for_imager(package):
            yield _system(release, board, package, image, addresses), package


def _system(release: Release, board: str, package: PackagedImage, image: PackagedFile, addresses: Addresses) -> Item:
    item: Item = {
        "name": f"Boardwright {package.version} ({package.title})",
        "description": "Debian with Docker. Set a user here: without one, no login is possible.",
        "icon": addresses.catalogue_file(ICON),
        "website": f"{addresses.catalogue_file('index.html')}#board-{board}",
        "url": addresses.file(release.tag, board, image.name),
        "extract_size": package.image_size_bytes,
        "extract_sha256": package.image_sha256,
        "image_download_size": image.size_bytes,
        "image_download_sha256": image.sha256,
        "release_date": f"{release.date:%Y-%m-%d}",
        "devices": list(package.imager),
        "init_format": "cloudinit",
        "capabilities": ["passwordless_sudo"],
    }
    architecture = find_architecture(package.architecture)
    if architecture and architecture.row.imager:
        item["architecture"] = architecture.row.imager
    if bmap := next((file for file in package.files if file.role == "bmap"), None):
        item["bmap_url"] = addresses.file(release.tag, board, bmap.name)
    return item


def _all_packages(listed: ReleaseList) -> list[PackagedImage]:
    return [released.image for release in listed.releases for released in release.boards.values()]


def _devices(packages: Sequence[PackagedImage], addresses: Addresses) -> list[Item]:
    """Return the devices to choose from, newest Raspberry Pi first; other boards by their title."""
    tags_of: dict[tuple[str, str], list[str]] = {device: [] for device in DEVICES.values()}
    for package in packages:
        if image_for_imager(package):
            for tag in package.imager:
                device = DEVICES.get(tag.partition("-")[0], (package.title, f"Board {package.board}"))
                tags_of.setdefault(device, []).append(tag)
    return [
        {
            "name": name,
            "description": description,
            "icon": addresses.catalogue_file(ICON),
            "tags": list(dict.fromkeys(tags)),
            "matching_type": "exclusive",
        }
        for (name, description), tags in tags_of.items()
        if tags
    ]
