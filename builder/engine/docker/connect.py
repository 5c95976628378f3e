# SPDX-License-Identifier: MIT
"""The Docker Engine to talk to, and the choice between it and this machine.

An Engine is a `docker.APIClient` that has answered. The user names it (named.py); without, the sockets where Docker
Desktop, Colima and rootless Docker listen are tried in turn. What the SDK raises becomes an error with a hint here, in
`engine_errors`, and nowhere else.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import requests
from docker import APIClient
from docker.errors import APIError, DockerException

from builder.choices import Engine
from builder.engine.docker.access import render_admission
from builder.engine.docker.named import NamedEngineError, find_named
from builder.errors import BoardwrightError, MachineError, SpaceError, ToolError
from builder.net.http import root_reason

Chosen = Literal[Engine.DOCKER, Engine.LOCAL]

ANSWER_S = 300
"""Longest silence of a call; removing a container with a large layer can take minutes on a slow disk."""
PING_S = 5
DENIED = "permission denied"

SOCKETS = (
    "/var/run/docker.sock",
    "~/.docker/run/docker.sock",  # Docker Desktop
    "~/.colima/default/docker.sock",
    "~/.orbstack/run/docker.sock",
    "~/.rd/docker.sock",  # Rancher Desktop
    "$XDG_RUNTIME_DIR/docker.sock",  # rootless Docker
)


class EngineRefusedError(MachineError):
    """An Engine listens, and this user may not use it."""


def choose_engine(wanted: Engine) -> Chosen:
    """Return where to build: in Docker if an Engine answers, else here if this machine can.

    Raises MachineError when what is wanted is not there.
    """
    if wanted == Engine.LOCAL:
        _check_local()
        return Engine.LOCAL
    try:
        with open_engine():
            return Engine.DOCKER
    except MachineError as without_engine:
        is_refused = isinstance(without_engine, EngineRefusedError) and find_local_obstacle()
        if wanted == Engine.DOCKER or isinstance(without_engine, NamedEngineError) or is_refused:
            raise
        if obstacle := find_local_obstacle():
            raise MachineError(
                f"{without_engine.message}; building without one is not possible: {obstacle}",
                hint=f"{without_engine.hint}; or use Debian or Ubuntu as root",
            ) from None
        return Engine.LOCAL


@contextmanager
def open_engine() -> Iterator[APIClient]:
    """Connect to the Engine; MachineError with the reason of each address that was tried."""
    with closing(_connect()) as api:
        yield api


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn what the SDK raises while `doing` something into an error with a hint."""
    try:
        yield
    except BoardwrightError:
        raise
    except APIError as error:
        raise _explain(doing, str(error.explanation or error)) from error
    except (DockerException, requests.RequestException) as error:
        raise MachineError(
            f"the Docker Engine stopped answering while {doing}: {_reason(error)}",
            hint="see whether `docker version` answers, then build again; `boardwright doctor` shows what is left",
        ) from error


def _explain(doing: str, said: str) -> BoardwrightError:
    if "no space left on device" in said.lower():
        return SpaceError(
            f"the Docker Engine's disk is full ({doing})", hint="make room, for example: docker system df"
        )
    return ToolError(f"the Docker Engine refused while {doing}: {said}", hint="look at the Engine: docker info")


def _connect() -> APIClient:
    named = find_named()
    refusals: dict[str, str] = {}
    for arguments in [named.arguments] if named else _find_sockets():
        try:
            with closing(APIClient(version="auto", timeout=PING_S, **arguments)) as probe:
                return APIClient(version=probe.api_version, timeout=ANSWER_S, **arguments)
        except (DockerException, requests.RequestException, OSError) as error:
            refusals[str(arguments.get("base_url"))] = _reason(error)
    refused = _explain_refusals(refusals)
    if named:
        raise NamedEngineError(f"{refused.message}; {named.by} names it", hint=refused.hint)
    raise refused


def _explain_refusals(refusals: Mapping[str, str]) -> MachineError:
    """Return the error for addresses of which none can be used, with the reason of each."""
    reasons = "; ".join(f"{address}: {reason}" for address, reason in refusals.items()) or "no socket found"
    for address, reason in refusals.items():
        if reason == DENIED and address.startswith(("unix://", "http+unix://")):
            return EngineRefusedError(
                f"a Docker Engine is there, but this user may not use it ({reasons})",
                hint=render_admission(Path(address.partition("://")[2])),
            )
    if "paramiko" in reasons:
        return MachineError(
            f"no Docker Engine answers ({reasons})", hint="for ssh:// install it: .venv/bin/pip install 'docker[ssh]'"
        )
    return MachineError(
        f"no Docker Engine answers ({reasons})",
        hint="install Docker and start it (Debian: apt-get install docker.io), or set DOCKER_HOST",
    )


def _find_sockets() -> list[dict[str, Any]]:
    """Return arguments of APIClient for each socket that is there, in the order they are tried."""
    # Below a home that is not known "~" stays: Path.expanduser would raise.
    places = (os.path.expanduser(os.path.expandvars(place)) for place in SOCKETS)  # noqa: PTH111
    return [{"base_url": f"unix://{place}"} for place in places if _is_socket(Path(place))]


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except PermissionError:
        return False  # It lies in another user's directory: HOME is kept by some ways to change the user.


def _reason(error: Exception) -> str:
    """Return the innermost cause in words: the SDK wraps it in three layers of its own."""
    text = str(error)
    for known in (DENIED, "Connection refused", "No such file", "timed out", "Name or service not known"):
        if known.lower() in text.lower():
            return known.lower()
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, requests.RequestException):
        cause = cause.__cause__ or cause.__context__
    return root_reason(cause).lower() if cause else text


def _check_local() -> None:
    if obstacle := find_local_obstacle():
        raise MachineError(f"cannot build on this machine: {obstacle}", hint="use --engine docker")


def find_local_obstacle() -> str:
    """Return what keeps this machine from building without Docker, or ""."""
    if sys.platform != "linux" or not shutil.which("apt-get"):
        return "this is not a Debian-like Linux"
    if os.geteuid() != 0:
        return "you are not root"
    return ""
