# SPDX-License-Identifier: MIT
"""The catalogue: what people and programs look at to find an image.

A function of the releases, the channels and their public address. The same input gives the same bytes, so publishing
it again changes nothing. Who publishes puts the files; nothing is read or written here:

    partial(make_catalogue, addresses=Addresses("https://images.example.org/os"), site=Site(key="RW..."))
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from builder.errors import ReleaseError
from builder.release import imager
from builder.release.addresses import Addresses
from builder.release.index import SITE, Site, make_page
from builder.release.listed import sort_releases
from builder.release.model import Channel, Release

INDEX = "index.html"
PLAIN = Site()
NAME = r"[A-Za-z0-9][A-Za-z0-9._+~-]*"


def make_catalogue(
    releases: Sequence[Release], channels: Sequence[Channel], addresses: Addresses, site: Site = PLAIN
) -> Mapping[str, bytes]:
    """Return the files of the catalogue by name.

    releases  all that are to be listed; those that channels name may be among them or not

    index.html and boardwright.svg are always there. os-list.json and a manifest for each image need a public address,
    because Raspberry Pi Imager resolves nothing. Raises ReleaseError when a release has a name that is none, or what
    comes out is not what Imager reads.
    """
    listed = sort_releases(releases, channels)
    for release in listed.releases:
        _check_names(release)
    files = {INDEX: make_page(listed, addresses, site), imager.ICON: (SITE / imager.ICON).read_bytes()}
    if addresses.public:
        files[imager.OS_LIST] = imager.render(imager.make_os_list(listed, addresses))
        for name, document in imager.make_manifests(listed, addresses).items():
            files[name] = imager.render(document)
    return files


def _check_names(release: Release) -> None:
    """Raise ReleaseError for a name that would be a path: it becomes part of addresses and file names."""
    for board, released in release.boards.items():
        for name in (board, released.package.name):
            if not re.fullmatch(NAME, name):
                raise ReleaseError(f"{release.tag}: {name!r} can be no name of a file", hint="release it again")
