# SPDX-License-Identifier: MIT
"""Make, read and check block maps: blocks of an image to write, with a digest of each range (bmaptool's format 2.0).

A tool that copies with a map does not change other blocks of the card. So a block is left out only if it is zero and
no filesystem uses it. Zero blocks in use, such as free entries of a FAT, are written.
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
"""Placeholder for the map's own digest while it is computed (bmaptool's BmapCopy.py, _verify_bmap_checksum)."""
PIECE = MIB

Range = tuple[int, int]


@dataclass(frozen=True)
class Mapped:
    """A range of blocks, including the last one, and the SHA-256 of their bytes."""

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
        """Number of blocks of the image; the last one may be short."""
        return align_up(self.image_bytes, BLOCK) // BLOCK

    @property
    def mapped_blocks(self) -> int:
        """Number of blocks to write."""
        return sum(mapped.last - mapped.first + 1 for mapped in self.ranges)


def make_bmap(image: Path, unused: Sequence[Range]) -> Bmap:
    """Return the map of an uncompressed image.

    unused  sorted ranges in bytes (start, end) that no filesystem uses; their zero blocks are left out
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
    """Yield the ranges of zero blocks (first, end) inside unused ranges."""
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
    """Return the text of a map for bmaptool."""
    ranges = "".join(f'        <Range chksum="{part.sha256}"> {_words(part)} </Range>\n' for part in bmap.ranges)
    text = f"""<?xml version="1.0" ?>
<!-- The blocks of the image to write. bmaptool copies them and checks the digest of each range. -->
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
    """Return a map; raise ReleaseError if it is damaged, inconsistent, or not in our format."""
    try:
        root = fromstring(text)
        fields = {child.tag: (child.text or "").strip() for child in root}
        ranges = tuple(_load_range(element.text or "", element.get("chksum", "")) for element in root.iter("Range"))
        bmap = Bmap(_load_number(fields["ImageSize"]), ranges)
        checksum = fields["BmapFileChecksum"]
    except (ParseError, DefusedXmlException, KeyError, ValueError) as error:
        raise ReleaseError(
            f"the block map cannot be read: {str(error)[:100]!r}", hint="package the image again"
        ) from None
    if sha256_bytes(text.replace(checksum, NO_CHECKSUM, 1).encode()) != checksum:
        raise ReleaseError("the block map has a wrong checksum", hint="package the image again")
    counts = (fields.get("BlockSize"), fields.get("BlocksCount"), fields.get("MappedBlocksCount"))
    if counts != (str(BLOCK), str(bmap.blocks), str(bmap.mapped_blocks)) or not _is_in_order(bmap):
        raise ReleaseError("the block map is inconsistent", hint="package the image again")
    return bmap


def _load_range(text: str, sha256: str) -> Mapped:
    first, _, last = text.strip().partition("-")
    return Mapped(_load_number(first), _load_number(last or first), sha256)


def _load_number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is not a number")
    return int(text)


def _is_in_order(bmap: Bmap) -> bool:
    bounds = [-1, *(edge for mapped in bmap.ranges for edge in (mapped.first, mapped.last + 0.5))]
    return bounds == sorted(set(bounds)) and (not bmap.ranges or bmap.ranges[-1].last < bmap.blocks)


class BmapCheck:
    """Compare an image with a map, piece by piece from the start."""

    def __init__(self, bmap: Bmap) -> None:
        self._bmap = bmap
        self._position = 0
        self._next = 0
        self._state = hashlib.sha256()
        self._problems: list[str] = []

    def update(self, data: bytes) -> None:
        """Check the next bytes."""
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
        """Return start and end in bytes of the current or next range."""
        if self._next == len(self._bmap.ranges):
            far = max(self._bmap.image_bytes, self._position) + (1 << 62)
            return far, far
        current = self._bmap.ranges[self._next]
        return current.first * BLOCK, min((current.last + 1) * BLOCK, self._bmap.image_bytes)

    def _close(self) -> None:
        current = self._bmap.ranges[self._next]
        if self._state.hexdigest() != current.sha256:
            self._note(f"blocks {current.first}-{current.last} do not have the digest in the map")
        self._next, self._state = self._next + 1, hashlib.sha256()

    def _note(self, problem: str) -> None:
        self._problems.append(problem)

    def end(self) -> list[str]:
        """Return all problems, at the end of the image."""
        if self._position != self._bmap.image_bytes:
            self._note(f"found an image of {self._position} bytes; expected {self._bmap.image_bytes}, as in the map")
        elif self._next != len(self._bmap.ranges):
            self._note(f"{len(self._bmap.ranges) - self._next} ranges of the map are behind the end of the image")
        return self._problems
