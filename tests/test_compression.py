# SPDX-License-Identifier: MIT
"""What a new format of compression costs: a row in builder/compression.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.compression import FOR_IMAGER, IMAGE_SUFFIXES, PREFERRED, PROGRAMS, Compression, find_compression
from builder.system.tools import DEBIAN_PACKAGES
from tests.conftest import ROOT
from tests.support.one_row import ask_with_row

ROW = """\
    CAT = (
        "cat",
        Format(
            suffix=".cat",
            media_type="application/x-cat",
            rank=0,
            by_hand="cat -u",
            pack=lambda name, size_bytes: ["cat"],
            unpack=("cat", "--"),
            package="the-package-of-cat",
            imager=5,
        ),
    )
"""
"""A format that is like the image itself, and that only a test can want."""

PROBE = """
import sys
from pathlib import Path

import builder
from builder.artefact.compress import compress
from builder.artefact.earlier import remove_earlier
from builder.artefact.reuse import TOOLS as CACHE_INPUTS
from builder.catalogue.addresses import Addresses
from builder.catalogue.imager import image_for_imager
from builder.catalogue.make import make_catalogue
from builder.compression import Compression
from builder.disk.image_file import find_artefact, open_image
from builder.engine.local import TOOLS
from builder.fetch.fetch import choose_image
from builder.packaging.make import ROLES
from builder.packaging.model import Channel
from builder.release.content_types import type_of
from builder.system.tools import DEBIAN_PACKAGES
from builder.verbs.package import load_compressions
from builder.verify.live.qemu.needs import _unpackers
from tests.support.published import Published

assert Path(builder.__file__).is_relative_to(sys.argv[1]), "it is the copy"
scratch = Path(sys.argv[2])
cat = Compression("cat")

image = scratch / "boardwright-x-1.img"
row = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") + (8).to_bytes(4, "little")
image.write_bytes((bytes(446) + row + bytes(48) + b"\\x55\\xaa").ljust(9 * 512, b"x"))
packed = scratch / "dist/boardwright-x-1.img.cat"
packed.parent.mkdir()
compress(image, packed, compression=cat, name=image.name, epoch=0)
(packed.parent / "boardwright-x-1.build.json").write_text('{"board": "x"}')
assert find_artefact("x", packed.parent, scratch) == packed
with open_image(packed, scratch) as found:
    assert found.name == "boardwright-x-1" and found.raw != packed and found.raw.read_bytes() == image.read_bytes()
remove_earlier(packed.parent, ["boardwright-x-1.img.xz"], scratch)
assert not packed.exists()

assert Compression("cat") is cat and load_compressions("cat,xz") == [cat, Compression.XZ]
assert type_of("x.img.cat") == "application/x-cat"
assert "cat" in TOOLS and DEBIAN_PACKAGES["cat"] == "the-package-of-cat" in CACHE_INPUTS
assert list(_unpackers(packed)) == ["cat"]
assert ROLES.get(".img.cat", "image") == "image"

(scratch / "releases").mkdir()
published = Published(scratch / "releases", None)
release = published.release("v1.0")
released = release.boards["rpi"]
old = next(file for file in released.image.files if file.name.endswith(".img.xz"))
new = old.model_copy(update={"name": old.name.removesuffix(".xz") + ".cat"})
files = [new, *(file for file in released.image.files if file.role != "image")]
package = released.image.model_copy(update={"files": files, "imager": ["pi4-64bit"]})
assert choose_image(package, cat) == choose_image(package, None) == image_for_imager(package) == new
changed = released.model_copy(update={"image": package})
release = release.model_copy(update={"boards": {"rpi": changed}})
channel = Channel(channel="stable", release=release, history=[])
page = make_catalogue([release], [channel], Addresses("https://images.example.org/os"))["index.html"].decode()
assert f"cat -u {new.name}" in page and "<code>.img.cat</code>" in page
"""


def test_a_new_format_is_one_row(tmp_path: Path) -> None:
    ask_with_row("compression.py", "    NONE = ", ROW, PROBE, tmp_path)


@pytest.mark.parametrize("compression", Compression)
def test_a_row_is_whole(compression: Compression) -> None:
    row = compression.row
    assert Compression(compression.value) is compression
    assert find_compression(f"x{compression.image_suffix}") is compression
    assert row.suffix == ("" if compression is Compression.NONE else f".{compression.value}")
    assert bool(row.pack) == bool(row.package) == bool(row.imager) == (compression is not Compression.NONE)
    assert row.by_hand
    assert "/" in row.media_type


def test_ranks_are_of_one_format_each() -> None:
    assert len({each.row.rank for each in Compression}) == len(PREFERRED) == len(IMAGE_SUFFIXES) == len(Compression)
    assert len({each.row.imager for each in FOR_IMAGER}) == len(FOR_IMAGER) == len(Compression) - 1


def test_every_program_is_in_the_builder_image() -> None:
    assert PROGRAMS.items() <= DEBIAN_PACKAGES.items()
    dockerfile = set((ROOT / "Dockerfile.builder").read_text(encoding="utf-8").split())
    assert set(PROGRAMS.values()) <= dockerfile
