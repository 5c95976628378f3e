# SPDX-License-Identifier: MIT
"""The catalogue: what people and programs look at to find an image.

A function of the releases, the channels and their public address. The same input gives the same bytes, so publishing
it again changes nothing. Who publishes puts the files; nothing is read or written here:

    partial(make_catalogue, addresses=Addresses("https://images.example.org/os"), site=Site(key="RW..."))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builder.catalogue import imager
from builder.catalogue.addresses import Addresses
from builder.catalogue.download_page import SITE, Site, make_page
from builder.catalogue.listing import sort_releases
from builder.packaging.model import Channel, Release

INDEX = "index.html"
PLAIN = Site()


def make_catalogue(
    releases: Sequence[Release], channels: Sequence[Channel], addresses: Addresses, site: Site = PLAIN
) -> Mapping[str, bytes]:
    """Return the files of the catalogue by name.

    releases  all that are to be listed; those that channels name may be among them or not

    index.html and boardwright.svg are always there. os-list.json and a manifest for each image need a public address,
    because Raspberry Pi Imager resolves nothing. Raises ReleaseError when what comes out is not what
    Imager reads.
    """
    listed = sort_releases(releases, channels)
    files = {INDEX: make_page(listed, addresses, site), imager.ICON: (SITE / imager.ICON).read_bytes()}
    if addresses.public:
        files[imager.OS_LIST] = imager.render(imager.make_os_list(listed, addresses))
        for name, document in imager.make_manifests(listed, addresses).items():
            files[name] = imager.render(document)
    return files
