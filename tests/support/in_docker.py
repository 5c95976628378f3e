# SPDX-License-Identifier: MIT
"""A build in a container of a named image with a named volume: `in_docker.py IMAGE VOLUME BOARD PLACE`."""

from __future__ import annotations

import sys
from pathlib import Path

from builder.engine.docker import run
from builder.engine.docker.run import Request, run_in_docker
from builder.errors import BoardwrightError
from builder.verbs import session
from tests.support.chaos import WAYS

image, volume, board, place = sys.argv[1:]
setattr(run, "make_builder_image", lambda _: image)  # noqa: B010 - the attribute is not docker's own
try:
    with session.telling(json=True):
        path = Path(place)
        run_in_docker(Request(board, path / "boards", path / "state", path / "dist", options=WAYS, volume=volume))
except BoardwrightError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(error.exit_code)
