# SPDX-License-Identifier: MIT
"""What Raspberry Pi Imager reads, held against its rules; and the first partition, held against what it writes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from builder.catalogue.addresses import Addresses
from builder.catalogue.imager import SCHEMA, check_document, image_for_imager, make_manifests, make_os_list, render
from builder.catalogue.listing import ReleaseList, sort_releases
from builder.errors import ReleaseError
from builder.filesystem import Filesystem
from builder.packaging.model import Release
from builder.plan.first_boot import FIRMWARE
from builder.plan.user_data import check_user_data
from builder.recipe.load import list_boards, load_board
from tests.support.published import Published, digest, image_of

ROOT = Path(__file__).parents[2]
BASE = "https://images.example.org/os"
ADDRESSES = Addresses(BASE)

IMAGER_RULES = {
    "required": ["os_list"],
    "additionalProperties": False,
    "properties": {
        "imager": {"properties": {"devices": {"items": {"required": ["name", "description", "tags"]}}}},
        "os_list": {
            "type": "array",
            "items": {
                "anyOf": [
                    {
                        "required": [
                            *("name", "description", "icon", "url", "extract_size", "extract_sha256"),
                            *("image_download_size", "release_date", "devices"),
                        ],
                        "properties": {
                            "extract_size": {"type": "integer"},
                            "image_download_size": {"type": "integer"},
                            "init_format": {
                                "enum": ["", "none", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed"]
                            },
                        },
                    },
                    {"required": ["name", "description", "subitems"]},
                ]
            },
        },
    },
}
"""What Imager's own schema demands at least; ours is stricter."""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Release]:
    published = Published(tmp_path_factory.mktemp("srv"), None)
    return {tag: published.release(tag) for tag in ("v0.8", "v0.9", "v1.0", "v1.1-rc1")}


@pytest.fixture(scope="module")
def listed(releases: dict[str, Release], tmp_path_factory: pytest.TempPathFactory) -> ReleaseList:
    published = Published(tmp_path_factory.mktemp("srv"), None)
    channels = [published.name("stable", releases["v1.0"]), published.name("latest", releases["v1.1-rc1"])]
    return sort_releases(list(releases.values()), channels)


@pytest.fixture(scope="module")
def os_list(listed: ReleaseList) -> dict[str, Any]:
    return make_os_list(listed, ADDRESSES)


def test_the_list_keeps_the_rules_of_imager_and_ours(os_list: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(json.loads(SCHEMA.read_text(encoding="utf-8")))
    jsonschema.validate(os_list, IMAGER_RULES)
    check_document(os_list, "os-list.json")
    assert json.loads(render(os_list)) == os_list


def test_stable_is_first_and_the_rest_is_in_groups(os_list: dict[str, Any]) -> None:
    names = [item["name"] for item in os_list["os_list"]]
    assert names == ["Boardwright 1.0 (Raspberry Pi 3, 4, 5 and Zero 2 W)", "Channel latest", "Older releases"]
    inside = [[each["name"].split()[1] for each in item.get("subitems", [])] for item in os_list["os_list"]]
    assert inside == [[], ["1.1-rc1"], ["0.9", "0.8"]]


def test_sizes_and_digests_are_of_the_right_file(os_list: dict[str, Any], releases: dict[str, Release]) -> None:
    item, disk, file = os_list["os_list"][0], image_of("rpi", "1.0"), b"xz of " + image_of("rpi", "1.0")
    assert (item["extract_size"], item["extract_sha256"]) == (len(disk), digest(disk))
    assert (item["image_download_size"], item["image_download_sha256"]) == (len(file), digest(file))
    assert item["url"] == f"{BASE}/v1.0/rpi/boardwright-rpi-1.0.img.xz"
    assert item["bmap_url"] == f"{BASE}/v1.0/rpi/boardwright-rpi-1.0.bmap"
    assert item["icon"] == f"{BASE}/boardwright.svg"
    assert item["website"] == f"{BASE}/index.html#board-rpi"
    assert item["release_date"] == f"{releases['v1.0'].date:%Y-%m-%d}"
    assert (item["init_format"], item["architecture"]) == ("cloudinit", "armv8")


def test_every_system_is_shown_for_a_device(os_list: dict[str, Any]) -> None:
    devices = os_list["imager"]["devices"]
    assert [device["name"] for device in devices] == ["Raspberry Pi 5", "Raspberry Pi 4", "Raspberry Pi 3"]
    tags = {tag for device in devices for tag in device["tags"]}
    systems = [each for item in os_list["os_list"] for each in item.get("subitems", [item])]
    assert all(set(system["devices"]) & tags for system in systems)


def test_boards_that_imager_does_not_know_are_not_in_it(os_list: dict[str, Any]) -> None:
    assert "qemu" not in json.dumps(os_list)


def test_there_is_a_manifest_for_each_image(listed: ReleaseList) -> None:
    made = make_manifests(listed, ADDRESSES)
    assert sorted(made) == [f"boardwright-rpi-{v}.rpi-imager-manifest" for v in ("0.8", "0.9", "1.0", "1.1-rc1")]
    for document in made.values():
        jsonschema.validate(document, IMAGER_RULES)
        assert len(document["os_list"]) == 1
        assert document["imager"]["devices"]


def test_without_a_channel_there_are_only_older_releases(releases: dict[str, Release]) -> None:
    made = make_os_list(sort_releases(list(releases.values()), []), ADDRESSES)
    assert [item["name"] for item in made["os_list"]] == ["Older releases"]
    assert make_os_list(sort_releases([], []), ADDRESSES) == {"imager": {"devices": []}, "os_list": []}


def test_of_many_older_releases_the_newest_are_listed(releases: dict[str, Release]) -> None:
    many = [releases["v0.8"].model_copy(update={"tag": f"v0.7.{number}"}) for number in range(40)]
    found = sort_releases([*many, releases["v0.9"]], [])
    assert (len(found.older), found.older[0].tag) == (30, "v0.9")


def test_on_github_files_lie_beside_each_other(listed: ReleaseList) -> None:
    base = "https://github.com/o/r/releases/download"
    item = make_os_list(listed, Addresses(base, flat=True, catalogue="https://o.github.io/r"))["os_list"][0]
    assert item["url"] == f"{base}/v1.0/boardwright-rpi-1.0.img.xz"
    assert item["icon"] == "https://o.github.io/r/boardwright.svg"


def test_hardware_of_other_makers_is_named_by_its_board(releases: dict[str, Release]) -> None:
    release = releases["v1.0"]
    package = release.boards["rpi"].image.model_copy(
        update={"imager": ["odroid-c2"], "board": "odroid", "title": "ODROID-C2"}
    )
    other = release.boards["rpi"].model_copy(update={"image": package})
    boards = release.model_copy(update={"boards": {"odroid": other}})
    made = make_os_list(sort_releases([boards], []), ADDRESSES)
    assert [(each["name"], each["tags"]) for each in made["imager"]["devices"]] == [("ODROID-C2", ["odroid-c2"])]


@pytest.mark.parametrize(
    ("compressions", "taken"), [(("zst", "gz"), "gz"), (("zst",), "zst"), (("xz", "zip"), "xz"), ((), None)]
)
def test_the_image_that_most_imagers_unpack_is_taken(
    tmp_path: Path, compressions: tuple[str, ...], taken: str | None
) -> None:
    package = Published(tmp_path, None).package("v1.0", "rpi", compressions=compressions).image
    image = image_for_imager(package)
    assert (image.name.rpartition(".")[2] if image else None) == taken


def system(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda document: change(document["os_list"][0])


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (lambda it: it.pop("os_list"), "the whole document"),
        (lambda it: it.update(more=1), "the whole document"),
        (lambda it: it["imager"]["devices"][0].pop("tags"), "imager/devices/0"),
        (lambda it: it["os_list"][1].update(subitems=[]), "os_list/1/subitems"),
        (system(lambda it: it.pop("extract_sha256")), "os_list/0"),
        (system(lambda it: it.update(extract_sha256="ABC")), "os_list/0/extract_sha256"),
        (system(lambda it: it.update(extract_size="1")), "os_list/0/extract_size"),
        (system(lambda it: it.update(image_download_size=0)), "os_list/0/image_download_size"),
        (system(lambda it: it.update(devices=[])), "os_list/0/devices"),
        (system(lambda it: it.update(release_date="1 November 2026")), "os_list/0/release_date"),
        (system(lambda it: it.update(url="v1.0/x.img.xz")), "os_list/0/url"),
        (system(lambda it: it.update(init_format="systemd")), "os_list/0/init_format"),
        (system(lambda it: it.update(name="")), "os_list/0/name"),
    ],
)
def test_a_fault_is_named_with_its_place(
    os_list: dict[str, Any], spoil: Callable[[dict[str, Any]], object], place: str
) -> None:
    document = copy.deepcopy(os_list)
    spoil(document)
    with pytest.raises(ReleaseError, match=f"^os-list.json, {place}: "):
        check_document(document, "os-list.json")


@pytest.mark.parametrize(
    "base", ["images.example.org", "ftp://a/b", "https:///x", "https://a/b?c", "javascript:alert(1)"]
)
def test_an_address_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ReleaseError, match="expected an http"):
        Addresses(base)
    with pytest.raises(ReleaseError, match="expected an http"):
        Addresses(BASE, catalogue=base)


WRITTEN = """#cloud-config
manage_resolv_conf: false

hostname: shelf
manage_etc_hosts: true
packages:
- avahi-daemon

apt:
  preserve_sources_list: true
  conf: |
    Acquire {
      Check-Date "false";
    };

timezone: Europe/Berlin
keyboard:
  model: pc105
  layout: "de"
user:
  name: anne
  shell: /bin/bash
  lock_passwd: false
  passwd: "$5$salt$hash"
  sudo: null

ssh_pwauth: true

runcmd:
  - [ systemctl, enable, --now, ssh ]
"""
"""What Imager 2 writes as user-data for init_format cloudinit."""


def test_what_imager_writes_is_what_the_images_read(tmp_path: Path) -> None:
    """It overwrites these three files in the root of the FAT partition; cloud-init is told to look there."""
    base = ROOT / "boards/_base/files" / FIRMWARE.lstrip("/")
    assert sorted(path.name for path in base.iterdir()) == ["meta-data", "network-config", "user-data"]
    path = tmp_path / "user-data"
    path.write_text(WRITTEN, encoding="utf-8")
    check_user_data(path)


def test_boards_of_the_raspberry_pi_start_with_the_fat_partition_that_imager_writes_to() -> None:
    boards = {name: load_board(ROOT / "boards", name).recipe for name in list_boards(ROOT / "boards")}
    raspberry = {name: recipe for name, recipe in boards.items() if recipe.boot.method == "raspi"}
    assert raspberry
    for recipe in raspberry.values():
        first = recipe.table.partitions[0]
        assert (first.filesystem, first.mount) == (Filesystem.FAT32, FIRMWARE)
