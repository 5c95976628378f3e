# SPDX-License-Identifier: MIT
"""Make the catalogue: files in which people and programs find an image.

It depends only on the releases, the channels and their public URL. The same input gives the same bytes, so publishing
it again changes nothing. This module reads and writes no files; the publishers write them:

    partial(make_catalogue, addresses=Addresses("https://images.example.org/os"), site=PublisherPage(key="RW..."))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builder.catalogue import imager
from builder.catalogue.addresses import Addresses
from builder.catalogue.download_page import SITE, PublisherPage, make_page
from builder.catalogue.listing import sort_releases
from builder.packaging.model import Channel, Release

INDEX = "index.html"
PLAIN = PublisherPage()


def make_catalogue(
    releases: Sequence[Release], channels: Sequence[Channel], addresses: Addresses, site: PublisherPage = PLAIN
) -> Mapping[str, bytes]:
    """Return the files of the catalogue by name.

    releases  the releases to list; those of channels may be missing

    index.html and boardwright.svg are always included. os-list.json and the manifests need a public URL, because
    Raspberry Pi Imager needs absolute URLs. Raises ReleaseError if a file is not valid for Imager.
    """
    listed = sort_releases(releases, channels)
    files = {INDEX: make_page(listed, addresses, site), imager.ICON: (SITE / imager.ICON).read_bytes()}
    if addresses.public:
        files[imager.OS_LIST] = imager.render(imager.make_os_list(listed, addresses))
        for name, document in imager.make_manifests(listed, addresses).items():
            files[name] = imager.render(document)
    return files
