# SPDX-License-Identifier: MIT
"""A question to this same program in a container, about what is in the Engine's volume."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from docker import APIClient

from builder.engine.docker.builder_image import make_builder_image
from builder.engine.docker.connect import engine_errors
from builder.engine.docker.container import STATE, VOLUME, make_job, releasers
from builder.engine.docker.run import started
from builder.errors import ToolError
from builder.system.own_module import MODULE
from builder.system.workspace import open_journal


def has_volume(api: APIClient, volume: str) -> bool:
    """Say whether the Engine has a volume of that name."""
    with engine_errors("looking for the volume"):
        return any(found["Name"] == volume for found in api.volumes(filters={"name": volume})["Volumes"] or ())


def ask_inside(
    api: APIClient, state: Path, argv: tuple[str, ...], *, volume: str = VOLUME, ok: Collection[int] = (0,)
) -> str:
    """Run a verb in a container that has the volume and return the JSON it printed.

    state  this machine's state directory: the journal that names the container
    argv   the verb and its options; --engine, --state and --json are added
    ok     exit codes that are an answer; any other is a ToolError
    """
    verb, image = argv[0], make_builder_image(api)
    command = ("python3", *MODULE, "builder", *argv, "--engine", "local", "--state", STATE, "--json")
    with open_journal(state, verb, releasers(api)) as journal:
        job = make_job(image, verb, command, journal.path, volume=volume)
        with started(api, job, {}, journal) as pieces:
            said, story = b"", b""
            while isinstance(piece := pieces.get(), tuple):
                said, story = said + (piece[0] or b""), story + (piece[1] or b"")
            code = int(api.wait(job.name)["StatusCode"])
    if code not in ok:
        raise ToolError(f"the {verb} in the container ended with exit code {code}: {story.decode(errors='replace')}")
    return said.decode(errors="replace")
