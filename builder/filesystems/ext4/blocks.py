# SPDX-License-Identifier: MIT
"""Find the blocks of a file of an ext filesystem in its tree of extents, or in ext2's map of blocks.

Both give (first block of the file, blocks, first block of the disk), in the order of the file; a first block of 0 on
the disk reads as zero. A block of either is read by its number, which may be wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from builder.disk.walk import damaged

EXTENTS = 0xF30A
DEEPEST_EXTENTS = 5
LONGEST_INIT = 32768
"""An extent that is longer is not written yet, and reads as zero."""
DIRECT, LEVELS = 12, 3

Run = tuple[int, int, int]
ReadBlock = Callable[[int], bytes]


def walk_extents(node: bytes, read: ReadBlock, depth: int | None = None) -> Iterator[Run]:
    """Yield the extents of a node and of those below it; `depth` is the level that a lower node must have."""
    magic, count, _, level = struct.unpack_from("<HHHH", node)
    is_odd = level > DEEPEST_EXTENTS or (depth is not None and level != depth)
    if magic != EXTENTS or is_odd or 12 + 12 * count > len(node):
        raise damaged("ext4", "a tree of extents is invalid")
    for index in range(count):
        if level == 0:
            first, length, high, low = struct.unpack_from("<IHHI", node, 12 + 12 * index)
            is_written = length <= LONGEST_INIT
            yield first, length if is_written else length - LONGEST_INIT, (low + (high << 32)) * is_written
        else:
            _, low, high = struct.unpack_from("<IIH", node, 12 + 12 * index)
            yield from walk_extents(read(low + (high << 32)), read, level - 1)


def walk_map(root: bytes, read: ReadBlock, block: int, file_blocks: int) -> Iterator[Run]:
    """Yield the blocks of a file as ext2 and ext3 have them, those that follow each other as one.

    block        bytes of a block
    file_blocks  number of blocks of the file
    """
    numbers = struct.unpack_from("<15I", root)
    run = (0, 0, 0)
    for first, disk in _walk_numbers(numbers, read, block // 4, file_blocks):
        if run[1] and first == run[0] + run[1] and disk == run[2] + run[1]:
            run = (run[0], run[1] + 1, run[2])
            continue
        if run[1]:
            yield run
        run = (first, 1, disk)
    if run[1]:
        yield run


def _walk_numbers(
    numbers: tuple[int, ...], read: ReadBlock, per_block: int, file_blocks: int
) -> Iterator[tuple[int, int]]:
    """Yield (block of the file, block of the disk) of each that is stored."""
    yield from ((first, disk) for first, disk in enumerate(numbers[:DIRECT]) if disk and first < file_blocks)
    start = DIRECT
    for level in range(1, LEVELS + 1):
        number = numbers[DIRECT + level - 1]
        if number and start < file_blocks:
            yield from _walk_indirect(number, level, start, read, file_blocks)
        start += per_block**level


def _walk_indirect(number: int, level: int, start: int, read: ReadBlock, file_blocks: int) -> Iterator[tuple[int, int]]:
    content = read(number)
    span = (len(content) // 4) ** (level - 1)
    for index, below in enumerate(struct.unpack(f"<{len(content) // 4}I", content)):
        first = start + index * span
        if first >= file_blocks:
            return
        if below and level == 1:
            yield first, below
        elif below:
            yield from _walk_indirect(below, level - 1, first, read, file_blocks)
