# SPDX-License-Identifier: MIT
"""A build in a container of a named image with a named volume: `in_docker.py IMAGE VOLUME BOARD PLACE`."""

from __future__ import annotations

import sys
from pathlib import Path

from builder.choices import Assembler, RootfsUse
from builder.compression import Compression
from builder.engine.docker import run
from builder.engine.docker.run import run_in_docker
from builder.errors import BoardwrightError
from builder.request import BuildRequest
from builder.verbs import session
from tests.support.chaos import EPOCH, VERSION

image, volume, board, place = sys.argv[1:]
setattr(run, "make_builder_image", lambda _: image)  # noqa: B010 - the attribute is not docker's own
try:
    with session.cli_session(json=True):
        path = Path(place)
        request = BuildRequest(
            board=board,
            version=VERSION,
            epoch=EPOCH,
            boards=path / "boards",
            state=path / "state",
            output=path / "dist",
            assembler=Assembler.LOOP,
            compress=Compression.NONE,
            rootfs=RootfsUse.AS_ASKED,
            verify=False,
        )
        run_in_docker(request, volume=volume)
except BoardwrightError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(error.exit_code)
