# SPDX-License-Identifier: MIT
"""Connect to a Docker Engine, and choose between it and this machine.

An Engine is a `docker.APIClient` that has answered. The user names it (named.py); else the sockets of Docker, Docker
Desktop, Colima, rootless Docker and others are tried in turn. Only `engine_errors` turns exceptions of the SDK into
errors with a hint.
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
"""Timeout of a call; removing a container with a large layer can take minutes on a slow disk."""
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
    """An Engine is running, but this user may not use it."""


def choose_engine(engine: Engine) -> Chosen:
    """Return where to build: in Docker if an Engine answers, else on this machine if it can.

    Raises MachineError if the wanted engine is not available.
    """
    if engine == Engine.LOCAL:
        _check_local()
        return Engine.LOCAL
    try:
        with open_engine():
            return Engine.DOCKER
    except MachineError as without_engine:
        is_refused = isinstance(without_engine, EngineRefusedError) and find_local_obstacle()
        if engine == Engine.DOCKER or isinstance(without_engine, NamedEngineError) or is_refused:
            raise
        if obstacle := find_local_obstacle():
            raise MachineError(
                f"{without_engine.message}; building without one is not possible: {obstacle}",
                hint=f"{without_engine.hint}; or build on Debian or Ubuntu as root",
            ) from None
        return Engine.LOCAL


@contextmanager
def open_engine() -> Iterator[APIClient]:
    """Connect to the Engine; MachineError with the reason for each address that was tried."""
    with closing(_connect()) as api:
        yield api


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Turn exceptions of the SDK into errors with a hint; `doing` names the call."""
    try:
        yield
    except BoardwrightError:
        raise
    except APIError as error:
        raise _explain(doing, str(error.explanation or error)) from error
    except (DockerException, requests.RequestException) as error:
        raise MachineError(
            f"the Docker Engine stopped answering while {doing}: {_reason(error)}",
            hint="check that `docker version` answers, then build again; `boardwright doctor` shows leftovers",
        ) from error


def _explain(doing: str, message: str) -> BoardwrightError:
    if "no space left on device" in message.lower():
        return SpaceError(
            f"the Docker Engine's disk is full ({doing})", hint="free disk space; docker system df shows its use"
        )
    return ToolError(f"the Docker Engine refused while {doing}: {message}", hint="check the Engine: docker info")


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
        raise NamedEngineError(f"{refused.message}; it is set by {named.by}", hint=refused.hint)
    raise refused


def _explain_refusals(refusals: Mapping[str, str]) -> MachineError:
    """Return the error if no address can be used, with the reason for each."""
    reasons = "; ".join(f"{address}: {reason}" for address, reason in refusals.items()) or "no socket found"
    for address, reason in refusals.items():
        if reason == DENIED and address.startswith(("unix://", "http+unix://")):
            return EngineRefusedError(
                f"a Docker Engine is running, but this user may not use it ({reasons})",
                hint=render_admission(Path(address.partition("://")[2])),
            )
    if "paramiko" in reasons:
        return MachineError(
            f"no Docker Engine answers ({reasons})", hint="ssh:// needs: .venv/bin/pip install 'docker[ssh]'"
        )
    return MachineError(
        f"no Docker Engine answers ({reasons})",
        hint="install Docker and start it (Debian: apt-get install docker.io), or set DOCKER_HOST",
    )


def _find_sockets() -> list[dict[str, Any]]:
    """Return arguments of APIClient for each existing socket, in the order in which they are tried."""
    # os.path keeps "~" if the home is unknown; Path.expanduser would raise.
    paths = (os.path.expanduser(os.path.expandvars(path)) for path in SOCKETS)  # noqa: PTH111
    return [{"base_url": f"unix://{path}"} for path in paths if _is_socket(Path(path))]


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except PermissionError:
        return False  # It is in another user's directory: some ways to change the user keep HOME.


def _reason(error: Exception) -> str:
    """Return the text of the innermost cause, because the SDK wraps it in three exceptions of its own."""
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
    """Return the reason why this machine cannot build without Docker, or ""."""
    if sys.platform != "linux" or not shutil.which("apt-get"):
        return "this is not a Debian-like Linux"
    if os.geteuid() != 0:
        return "you are not root"
    return ""
