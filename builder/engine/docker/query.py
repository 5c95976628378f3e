# SPDX-License-Identifier: MIT
"""Run a boardwright command in a container that has the Engine's volume, and return its JSON."""

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
    """Return whether the Engine has a volume of that name."""
    with engine_errors("looking for the volume"):
        return any(row["Name"] == volume for row in api.volumes(filters={"name": volume})["Volumes"] or ())


def ask_inside(
    api: APIClient, state: Path, argv: tuple[str, ...], *, volume: str = VOLUME, ok: Collection[int] = (0,)
) -> str:
    """Run a verb in a container that has the volume and return the JSON that it printed.

    state  this machine's state directory, for the journal that names the container
    argv   the verb and its options; --engine, --state and --json are added
    ok     exit codes of a valid answer; any other is a ToolError
    """
    verb, image = argv[0], make_builder_image(api)
    command = ("python3", *MODULE, "builder", *argv, "--engine", "local", "--state", STATE, "--json")
    with open_journal(state, verb, releasers(api)) as journal:
        job = make_job(image, verb, command, journal.path, volume=volume)
        with started(api, job, {}, journal) as pieces:
            stdout, stderr = b"", b""
            while isinstance(piece := pieces.get(), tuple):
                stdout, stderr = stdout + (piece[0] or b""), stderr + (piece[1] or b"")
            code = int(api.wait(job.name)["StatusCode"])
    if code not in ok:
        raise ToolError(f"`{verb}` in the container ended with exit code {code}: {stderr.decode(errors='replace')}")
    return stdout.decode(errors="replace")
