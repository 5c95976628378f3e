# SPDX-License-Identifier: MIT
"""Find the Engine that the user has configured, like the `docker` command.

DOCKER_HOST comes first, then DOCKER_CONTEXT, then the current context of config.json. If it cannot be used, that is an
error: neither another Engine nor this machine replaces it.
https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env
from pydantic import Field

from builder.errors import MachineError
from builder.recipe.described import load_described
from builder.recipe.facts import Uri
from builder.recipe.values import FrozenModel, Prose

CONTEXTS = "docker context ls lists the contexts"


@dataclass(frozen=True)
class Named:
    """An Engine that the user has configured."""

    by: str
    """Source of the setting, for example "DOCKER_HOST"."""
    arguments: Mapping[str, Any]
    """Arguments of APIClient."""


class NamedEngineError(MachineError):
    """The configured Engine cannot be used."""


class _File(FrozenModel, extra="ignore"):
    """A file of the docker command; unknown fields are ignored."""


class _Config(_File):
    current: Prose = Field("", alias="currentContext")


class _Endpoint(_File):
    host: Uri = Field("", alias="Host")
    skip_tls_verify: bool = Field(False, alias="SkipTLSVerify")


class _Meta(_File):
    endpoints: dict[Prose, _Endpoint] = Field({}, alias="Endpoints")


_F = TypeVar("_F", bound=_File)


def find_named() -> Named | None:
    """Return the Engine that environment or configuration name; None if they name none.

    Raises NamedEngineError if it does not exist or cannot be used.
    """
    if host := os.environ.get("DOCKER_HOST"):
        try:
            return _name("DOCKER_HOST", dict(kwargs_from_env()))
        except (DockerException, OSError) as error:
            raise NamedEngineError(
                f"DOCKER_HOST={host} cannot be used: {error}",
                hint="unset DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or set them to existing certificates",
            ) from error
    directory = _find_directory()
    config = _read(directory / "config.json", _Config) if directory else None
    by, name = "DOCKER_CONTEXT", os.environ.get("DOCKER_CONTEXT", "")
    if not name and config:
        by, name = f"the current context of {directory}/config.json", config.current
    return _load_context(directory, name, by) if name not in ("", "default") else None


def _find_directory() -> Path | None:
    """Return the directory of docker's configuration; None for a user without a home."""
    text = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")  # noqa: PTH111 - Path raises without one
    return None if text.startswith("~") else Path(text)


def _load_context(directory: Path | None, name: str, by: str) -> Named:
    identity = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    contexts = (directory or Path("/nonexistent")) / "contexts"
    meta = _read(contexts / "meta" / identity / "meta.json", _Meta)
    endpoint = meta.endpoints.get("docker") if meta else None
    if endpoint is None or not endpoint.host:
        raise NamedEngineError(f"docker context {name!r}: not found; it is set by {by}", hint=CONTEXTS)
    arguments: dict[str, Any] = {"base_url": endpoint.host}
    tls = contexts / "tls" / identity / "docker"
    if tls.is_dir():
        ca, cert, key = (
            str(path) if (path := tls / f"{file}.pem").is_file() else None for file in ("ca", "cert", "key")
        )
        try:
            arguments["tls"] = TLSConfig(
                client_cert=(cert, key) if cert and key else None, ca_cert=ca, verify=not endpoint.skip_tls_verify
            )
        except DockerException as error:
            raise NamedEngineError(f"the docker context {name!r} cannot be used: {error}", hint=CONTEXTS) from error
    return _name(f"{by} ({name})" if by == "DOCKER_CONTEXT" else by, arguments)


def _name(by: str, arguments: dict[str, Any]) -> Named:
    if str(arguments.get("base_url", "")).startswith("ssh://"):
        arguments["use_ssh_client"] = True  # With the user's own keys, agent and known hosts.
    return Named(by, arguments)


def _read(path: Path, kind: type[_F]) -> _F | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NamedEngineError(f"{path} cannot be read: {error.strerror}") from error
    problem = f"{path} is not a valid file of docker"
    hint = "correct it, or name another directory with DOCKER_CONFIG"
    return load_described(kind, content, problem, error=NamedEngineError, hint=hint)
