# SPDX-License-Identifier: MIT
"""Run a build request in a container of the builder image.

Inputs are copied in before it starts, and its events are shown as they happen. The image is fetched while its specs
run, the other artefacts afterwards; all are kept only if the build succeeds. ^C stops the build, which releases its
resources; a second ^C kills it. The container is always removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError

from builder import log
from builder.artefact.build_record import BUILDER_IMAGE
from builder.artefact.digest_cache import Digests
from builder.artefact.files import Artefact
from builder.artefact.reuse import RECORD as ARTEFACTS
from builder.choices import Engine
from builder.engine.docker.builder_image import make_builder_image
from builder.engine.docker.cache_access import Access
from builder.engine.docker.connect import engine_errors, open_engine
from builder.engine.docker.container import (
    STATE,
    VOLUME,
    Job,
    create,
    give_back_leftovers,
    is_missing_loop_control,
    make_job,
    releasers,
)
from builder.engine.docker.hand_out import PACKS, CopyMethod, HandOut, open_hand_out, read_announced
from builder.engine.docker.hand_out import REQUEST as HAND_OUT_REQUEST
from builder.engine.docker.layer import find_layer
from builder.engine.docker.listen import Pieces, check_end, follow, listen
from builder.engine.docker.put_image import put_image
from builder.engine.docker.transfer import BOARDS, put_inputs, put_secrets, read_file
from builder.engine.events import EventStream
from builder.errors import BoardwrightError, ToolError
from builder.request import BuildRequest
from builder.rootfs.stored_tree import RECORD as ROOTFS
from builder.system.own_module import MODULE
from builder.system.trusted_state import write_state_file
from builder.system.workspace import Journal, open_journal

OUTPUT = "/build/dist"
USER_DATA = "/build/inputs/user-data"
REQUEST = "/build/inputs/request.json"
ARGV = ("python3", *MODULE, "builder", "run", REQUEST)
NO_ACCESS = Access()


@dataclass(frozen=True)
class Outcome:
    """Result of a command in a container: files, now on this machine, and the data of its result event."""

    artefacts: tuple[Artefact, ...]
    data: Mapping[str, Any]


def run_in_docker(request: BuildRequest, access: Access = NO_ACCESS, *, volume: str = VOLUME) -> Outcome:
    """Run a build request in a container and return its outcome.

    volume  named volume of the Engine for state that outlives the container

    Raises the error of the build, MachineError (no Engine, no way to make the builder image), ToolError (the container
    ended without an error message), TrustError (a file was damaged in transfer), Interrupted.
    """
    with open_engine() as api:
        image = make_builder_image(api)
        give_back_leftovers(api, request.state)
        with open_journal(request.state, request.board, releasers(api)) as journal:
            job = make_job(image, request.board, ARGV, journal.path, volume=volume)
            environment = {**access.environment, BUILDER_IMAGE: _find_id(api, image)}
            job = replace(job, environment=environment, hosts=access.hosts)
            secrets = {**access.secrets, REQUEST: _inside(request, access).render()}
            return _run(api, job, request, secrets, journal)


def _inside(request: BuildRequest, access: Access) -> BuildRequest:
    """Return the request for the container, with the paths of inputs and directories there."""
    paths = {"boards": Path(BOARDS), "state": Path(STATE), "output": Path(OUTPUT)}
    user_data = Path(USER_DATA) if request.user_data else None
    cache = access.cache.url if access.cache else ""
    return request.model_copy(update={**paths, "user_data": user_data, "engine": Engine.LOCAL, "cache": cache})


def _find_id(api: APIClient, image: str) -> str:
    """Return the digest of an image, for the build record."""
    with engine_errors("looking at the builder image"):
        return str(api.inspect_image(image)["Id"])  # type: ignore[no-untyped-call]


@contextmanager
def started(
    api: APIClient,
    job: Job,
    inputs: Mapping[str, Path],
    journal: Journal,
    secrets: Mapping[str, bytes] | None = None,
    *,
    image: Mapping[str, Path] | None = None,
) -> Iterator[Pieces]:
    """Start a container and yield its output, piece by piece until None; it is removed at the end.

    inputs   small files and directories of this machine by path in the container
    secrets  content of files by path in the container
    image    large files by path in the container, sent without their holes
    """
    with created(api, job, inputs, journal, secrets, image=image):
        yield start(api, job)


@contextmanager
def created(
    api: APIClient,
    job: Job,
    inputs: Mapping[str, Path],
    journal: Journal,
    secrets: Mapping[str, bytes] | None = None,
    *,
    image: Mapping[str, Path] | None = None,
) -> Iterator[None]:
    """Create a container with its inputs, without starting it; it is removed at the end. See `started`."""
    with journal.holding("container", job.name):
        create(api, job)
        put_inputs(api, job.name, inputs)
        for path, source in (image or {}).items():
            put_image(api, job.name, path, source)
        if secrets:
            put_secrets(api, job.name, secrets)
        yield


def start(api: APIClient, job: Job) -> Pieces:
    """Start a container and return its output, piece by piece until None."""
    with engine_errors("starting the container"):
        pieces = listen(api, job.name)
        api.start(job.name)
    return pieces


def _run(api: APIClient, job: Job, request: BuildRequest, secrets: Mapping[str, bytes], journal: Journal) -> Outcome:
    try:
        with created(api, job, _inputs(request), journal, secrets):
            way = CopyMethod(job.name, find_layer(api, job.name, BOARDS))
            put_secrets(api, job.name, {str(HAND_OUT_REQUEST): b"" if way.layer else PACKS})
            with open_hand_out(way, request.output, journal, Digests(request.state)) as hand_out:
                events = follow(api, job.name, start(api, job), on_product=hand_out.begin)
                try:
                    check_end(api, job.name, events)
                except BoardwrightError as error:
                    _bring_log(api, job.name, request, error)
                    raise
                outcome = _collect(events, hand_out)
            _bring_records(api, job.name, request)
            return outcome
    except ToolError as error:
        if not job.loop or not isinstance(error.__cause__, APIError) or not is_missing_loop_control(error.__cause__):
            raise
    log.note("the Engine's machine has no loop devices; the image is assembled without them")
    return _run(api, replace(job, loop=False), request, secrets, journal)


def _bring_log(api: APIClient, name: str, request: BuildRequest, error: BoardwrightError) -> None:
    """Fetch the log that an error's hint names, and put its new path into the hint."""
    inside = f"{STATE}/rooms/{request.board}/build.log"
    if inside not in error.hint:
        return
    path = request.state / "logs" / f"{request.board}.log"
    with suppress(BoardwrightError):  # The build's own error matters more than a missing log.
        write_state_file(path, read_file(api, name, inside))
        error.hint = error.hint.replace(inside, str(path))


def _bring_records(api: APIClient, name: str, request: BuildRequest) -> None:
    """Fetch the records of a build's inputs, so that `plan` on this machine can show cache hits there."""
    room, records = f"{STATE}/rooms/{request.board}", request.state / "records" / request.board
    for path in (f"rootfs/{ROOTFS}", ARTEFACTS):
        with suppress(BoardwrightError, OSError):  # Only the output of `plan` needs them.
            content = read_file(api, name, f"{room}/{path}")
            write_state_file(records / Path(path).name, content)


def _inputs(request: BuildRequest) -> dict[str, Path]:
    return {BOARDS: request.boards, **({USER_DATA: request.user_data} if request.user_data else {})}


def _collect(events: EventStream, hand_out: HandOut) -> Outcome:
    if events.result is None:
        raise ToolError("the command in the container ended without a result", hint="this is a bug; please report it")
    announced = read_announced(events.result.get("artefacts", ()))
    return Outcome(hand_out.finish(announced) if announced else (), events.result)
