# SPDX-License-Identifier: MIT
"""The environment of a build changes how long zstd takes, and not what it writes."""

from __future__ import annotations

import random

from builder.rootfs import bootstrap
from builder.system.process import run


def test_zstd_writes_the_same_whatever_the_number_of_threads() -> None:
    # Several jobs of zstd -1, which are of 2 MiB each.
    chance = random.Random(1)
    words = [chance.randbytes(chance.randrange(3, 30)) for _ in range(4000)]
    data = b"".join(chance.choices(words, k=400_000))
    packed = [_compress(data, {}), *(_compress(data, {"ZSTD_NBTHREADS": str(number)}) for number in (1, 2, 3, 4))]
    assert len(set(packed)) == 1
    assert packed[0] == _compress(data, bootstrap.make_environment(0))


def _compress(data: bytes, environment: dict[str, str]) -> str:
    return run(["sh", "-c", "zstd -q -1 -c | sha256sum"], stdin=data, env=environment).stdout
