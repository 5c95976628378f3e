# SPDX-License-Identifier: MIT
"""An arm64 program without a compiler for arm64, and the native program that stands for its twin.

Each writes one letter (e: emulated, n: native), then the first five bytes of its argv[0].
"""

from __future__ import annotations

import struct
from pathlib import Path

from builder.system.process import run

BASE = 0x400000
HEADERS = 64 + 56

WRITE, EXIT = 64, 93
SVC = 0xD4000001


def mov(register: int, value: int) -> int:
    return 0xD2800000 | value << 5 | register


def write_foreign(path: Path) -> None:
    letter = 12 - 1  # words from the second one to the letter behind the code
    code = [
        *(mov(0, 1), 0x10000001 | letter << 5, mov(2, 1), mov(8, WRITE), SVC),  # adr x1, letter
        *(mov(0, 1), 0xF94007E1, mov(2, 5), SVC),  # ldr x1, [sp, 8]: argv[0]
        *(mov(0, 0), mov(8, EXIT), SVC),
    ]
    text = b"".join(struct.pack("<I", word) for word in code) + b"e\0\0\0"
    size = HEADERS + len(text)
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, BASE + HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + segment + text)
    path.chmod(0o755)


def compile_twin(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = b'#include <stdio.h>\nint main(int c, char **v) { (void)c; printf("n%.5s", v[0]); }\n'
    run(["gcc", "-static", "-x", "c", "-o", path, "-"], stdin=source)
