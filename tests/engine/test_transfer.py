# SPDX-License-Identifier: MIT
"""What goes wrong between a container and this machine's disk is said of the side it happened on."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from builder.engine.connect import engine_errors
from builder.engine.transfer import _unpack
from builder.errors import MachineError, SpaceError
from builder.release.artefact import Artefact

SIZE = 1024 * 1024


def tar_of_zeros() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        entry = tarfile.TarInfo("image")
        entry.size = SIZE
        tar.addfile(entry, io.BytesIO(bytes(SIZE)))
    return stream.getvalue()


def broken_off() -> Iterator[bytes]:
    yield tar_of_zeros()[: SIZE // 2]
    raise requests.exceptions.ChunkedEncodingError("Connection broken: IncompleteRead")


def test_a_broken_connection_is_the_engines_fault(tmp_path: Path) -> None:
    artefact = Artefact(Path("image"), SIZE, "")
    with pytest.raises(MachineError, match="stopped answering while fetching"), engine_errors("fetching image"):
        _unpack(broken_off(), tmp_path / "image", artefact)


def test_a_place_that_cannot_be_written_is_this_machines(tmp_path: Path) -> None:
    artefact = Artefact(Path("image"), SIZE, "")
    with pytest.raises(SpaceError, match="cannot be written"):
        _unpack(iter([tar_of_zeros()]), tmp_path / "absent/image", artefact)
