# SPDX-License-Identifier: MIT
"""Files as the container of a build has them: with holes, empty, of zeros, of data."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from builder.artefact.files import Artefact
from builder.engine.docker.pack import GRAIN, PIECE_BYTES

DATA = os.urandom(3 * GRAIN)
CONTENTS = {
    "hole": b"start" + bytes(5 * PIECE_BYTES) + b"end",
    "empty": b"",
    "zeros": bytes(GRAIN * 3 + 7),
    "data": DATA + bytes(2 * GRAIN) + DATA + bytes(100),
}


def describe(path: Path) -> Artefact:
    return Artefact(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
