# SPDX-License-Identifier: MIT
"""Block maps: which blocks of an image have to be written, with a digest of each range (bmaptool's format 2.0).

Whoever copies by a map leaves everything else on the card as it was. So a block is left out only when it is zero and
no filesystem uses it; what is zero and used, such as the free entries of a FAT, is written.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from builder.errors import ReleaseError
from builder.system.checksums import sha256_bytes
from builder.units import MIB, align_up

BLOCK = 4096
NUMBER = re.compile(r"[0-9]{1,18}")
NO_CHECKSUM = "0" * 64
"""Stands for the map's own digest while that is made (bmaptool's BmapCopy.py, _verify_bmap_checksum)."""
PIECE = MIB

Range = tuple[int, int]


@dataclass(frozen=True)
class Mapped:
    """A range of blocks, the last one included, and the SHA-256 of their bytes."""

    first: int
    last: int
    sha256: str


@dataclass(frozen=True)
class Bmap:
    """A block map."""

    image_bytes: int
    ranges: tuple[Mapped, ...]

    @property
    def blocks(self) -> int:
        """Blocks of the image; the last one may be short."""
        return align_up(self.image_bytes, BLOCK) // BLOCK

    @property
    def mapped_blocks(self) -> int:
        """Blocks that are written."""
        return sum(each.last - each.first + 1 for each in self.ranges)


def make_bmap(image: Path, unused: Sequence[Range]) -> Bmap:
    """Return the map of an uncompressed image.

    unused  ranges in bytes (start, end) that no filesystem uses, in order; those that are zero are left out
    """
    size = image.stat().st_size
    with image.open("rb") as stream:
        holes = list(_merge(_find_holes(stream, unused)))
        ranges = [
            Mapped(first, last, _digest(stream, first * BLOCK, min((last + 1) * BLOCK, size)))
            for first, last in _complement(holes, align_up(size, BLOCK) // BLOCK)
        ]
    return Bmap(size, tuple(ranges))


def _find_holes(stream: IO[bytes], unused: Sequence[Range]) -> Iterator[Range]:
    """Yield ranges of blocks (first, end) that are inside an unused range and zero."""
    zeros, size = bytes(PIECE), os.fstat(stream.fileno()).st_size
    for start, end in unused:
        first, stop = align_up(start, BLOCK) // BLOCK, min(end, size) // BLOCK
        while first < stop:
            count = min(stop - first, PIECE // BLOCK)
            stream.seek(first * BLOCK)
            data = stream.read(count * BLOCK)
            if data == zeros[: len(data)]:
                yield first, first + count
            else:
                yield from _zero_blocks(data, first)
            first += count


def _zero_blocks(data: bytes, first: int) -> Iterator[Range]:
    zero = bytes(BLOCK)
    for number in range(len(data) // BLOCK):
        if data[number * BLOCK : (number + 1) * BLOCK] == zero:
            yield first + number, first + number + 1


def _merge(ranges: Iterable[Range]) -> Iterator[Range]:
    begin = end = -1
    for first, stop in ranges:
        if first == end:
            end = stop
            continue
        if begin >= 0:
            yield begin, end
        begin, end = first, stop
    if begin >= 0:
        yield begin, end


def _complement(holes: Sequence[Range], blocks: int) -> Iterator[Range]:
    position = 0
    for first, stop in [*holes, (blocks, blocks)]:
        if first > position:
            yield position, first - 1
        position = stop


def _digest(stream: IO[bytes], start: int, end: int) -> str:
    state = hashlib.sha256()
    stream.seek(start)
    while start < end:
        data = stream.read(min(PIECE, end - start))
        state.update(data)
        start += len(data)
    return state.hexdigest()


def render_bmap(bmap: Bmap) -> str:
    """Return the file that bmaptool reads."""
    ranges = "".join(f'        <Range chksum="{each.sha256}"> {_words(each)} </Range>\n' for each in bmap.ranges)
    text = f"""<?xml version="1.0" ?>
<!-- Which blocks of the image are to be written. bmaptool copies by it, and checks every range on the way. -->
<bmap version="2.0">
    <ImageSize> {bmap.image_bytes} </ImageSize>
    <BlockSize> {BLOCK} </BlockSize>
    <BlocksCount> {bmap.blocks} </BlocksCount>
    <MappedBlocksCount> {bmap.mapped_blocks} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {NO_CHECKSUM} </BmapFileChecksum>
    <BlockMap>
{ranges}    </BlockMap>
</bmap>
"""
    return text.replace(NO_CHECKSUM, sha256_bytes(text.encode()), 1)


def _words(mapped: Mapped) -> str:
    return str(mapped.first) if mapped.first == mapped.last else f"{mapped.first}-{mapped.last}"


def read_bmap(text: str) -> Bmap:
    """Return what a map says; ReleaseError when it is none of ours, damaged, or contradicts itself."""
    try:
        root = fromstring(text)
        said = {child.tag: (child.text or "").strip() for child in root}
        ranges = tuple(_load_range(each.text or "", each.get("chksum", "")) for each in root.iter("Range"))
        bmap = Bmap(_load_number(said["ImageSize"]), ranges)
        checksum = said["BmapFileChecksum"]
    except (ParseError, DefusedXmlException, KeyError, ValueError) as error:
        raise ReleaseError(
            f"the block map cannot be read: {str(error)[:100]!r}", hint="package the image again"
        ) from None
    if sha256_bytes(text.replace(checksum, NO_CHECKSUM, 1).encode()) != checksum:
        raise ReleaseError("the block map is not what its own checksum says", hint="package the image again")
    said_of_itself = (said.get("BlockSize"), said.get("BlocksCount"), said.get("MappedBlocksCount"))
    if said_of_itself != (str(BLOCK), str(bmap.blocks), str(bmap.mapped_blocks)) or not _is_in_order(bmap):
        raise ReleaseError("the block map contradicts itself", hint="package the image again")
    return bmap


def _load_range(text: str, sha256: str) -> Mapped:
    first, _, last = text.strip().partition("-")
    return Mapped(_load_number(first), _load_number(last or first), sha256)


def _load_number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is no number")
    return int(text)


def _is_in_order(bmap: Bmap) -> bool:
    bounds = [-1, *(edge for each in bmap.ranges for edge in (each.first, each.last + 0.5))]
    return bounds == sorted(set(bounds)) and (not bmap.ranges or bmap.ranges[-1].last < bmap.blocks)


class BmapCheck:
    """Compares an image, given piece by piece from its start, with a map."""

    def __init__(self, bmap: Bmap) -> None:
        self._bmap = bmap
        self._position = 0
        self._next = 0
        self._state = hashlib.sha256()
        self._problems: list[str] = []

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        while view:
            start, end = self._bounds()
            inside = self._position >= start
            count = min(len(view), (end if inside else start) - self._position)
            part, view = view[:count], view[count:]
            if inside:
                self._state.update(part)
            elif part != memoryview(bytes(count)):
                self._note(f"bytes {self._position}-{self._position + count - 1} are not zero and not in the map")
            self._position += count
            if self._position == end:
                self._close()

    def _bounds(self) -> Range:
        """Return start and end in bytes of the range that comes next or is being read."""
        if self._next == len(self._bmap.ranges):
            far = max(self._bmap.image_bytes, self._position) + (1 << 62)
            return far, far
        each = self._bmap.ranges[self._next]
        return each.first * BLOCK, min((each.last + 1) * BLOCK, self._bmap.image_bytes)

    def _close(self) -> None:
        each = self._bmap.ranges[self._next]
        if self._state.hexdigest() != each.sha256:
            self._note(f"blocks {each.first}-{each.last} are not those of the map")
        self._next, self._state = self._next + 1, hashlib.sha256()

    def _note(self, problem: str) -> None:
        self._problems.append(problem)

    def end(self) -> list[str]:
        """Return what is wrong, now that all of the image was seen."""
        if self._position != self._bmap.image_bytes:
            self._note(f"the image has {self._position} bytes, the map is of {self._bmap.image_bytes}")
        elif self._next != len(self._bmap.ranges):
            self._note(f"{len(self._bmap.ranges) - self._next} ranges of the map lie behind the image")
        return self._problems
