# SPDX-License-Identifier: MIT
"""Credentials for a build in a container: of the shared cache, and of package archives.

They are found here, where the user's profile or this machine's role is, and go into the container's own filesystem
by the Engine's archive call, for its root alone. So they are in no image, no volume, no option and no environment,
which every user of the Engine can see.
"""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from builder.errors import RecipeError
from builder.net.location import Location
from builder.rootfs.apt.auth import VARIABLE, find_auth
from builder.rootfs.shared_layers import KEY_VARIABLE, find_key
from builder.system.files import read_bytes
from builder.system.proxy import HERE, find_hosts, is_loopback

CREDENTIALS = "/build/inputs/credentials"
APT_AUTH = "/build/inputs/apt-auth"
CACHE_KEY = "/build/inputs/cache-key"
AMAZON = re.compile(r"https://s3[a-z0-9.-]*\.amazonaws\.com(\.cn)?")


@dataclass(frozen=True)
class Access:
    """What a container needs to use the shared cache and package archives as this process does, besides its request."""

    cache: Location | None = None
    """The shared cache as the container reaches it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """More of the container's environment, which every user of the Engine can see."""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Content of files by their path in the container, which its root alone can read."""
    hosts: tuple[str, ...] = ()
    """Names of hosts that only the container knows, each as NAME:ADDRESS."""


def find_access(location: Location | None) -> Access:
    """Return what lets a container use the shared cache and package archives as this process would.

    Raises RecipeError (no credentials to write with, an endpoint that is this machine alone, no such file).
    """
    access, auth, key = _find_cache_access(location), find_auth(), find_key()
    files = {(VARIABLE, APT_AUTH): read_bytes(auth) if auth else None, (KEY_VARIABLE, CACHE_KEY): key}
    given = {names: content for names, content in files.items() if content is not None}
    return replace(
        access,
        environment={**access.environment, **dict(given.keys())},
        secrets={**access.secrets, **{path: content for (_, path), content in given.items()}},
    )


def _find_cache_access(location: Location | None) -> Access:
    if location is None:
        return Access()
    from builder.net.s3 import find_credentials, make_client  # noqa: PLC0415 - boto3 is slow to load, and few share a cache

    client, credentials = make_client(location), find_credentials(location)
    endpoint = client.meta.endpoint_url
    if AMAZON.fullmatch(endpoint):
        endpoint = location.endpoint
    elif is_loopback(urlsplit(endpoint).hostname or ""):
        raise RecipeError(
            f"--cache: a container cannot reach {endpoint}: there, that is the container itself",
            hint=f"let the server listen on all addresses and name it http://{HERE}:PORT, or use --engine local",
        )
    location = replace(location, endpoint=endpoint, region=client.meta.region_name)
    environment = {"AWS_EC2_METADATA_DISABLED": "true"}  # It is the user who shares, not the Engine's machine.
    hosts = find_hosts(urlsplit(endpoint).hostname)
    if credentials is None:
        return Access(location, environment, hosts=hosts)
    known = {
        "aws_access_key_id": credentials.access_key,
        "aws_secret_access_key": credentials.secret_key,
        "aws_session_token": credentials.token,
    }
    text = _render({name: value for name, value in known.items() if value})
    environment["AWS_SHARED_CREDENTIALS_FILE"] = CREDENTIALS
    return Access(location, environment, {CREDENTIALS: text}, hosts)


def _render(values: Mapping[str, str]) -> bytes:
    profile = configparser.RawConfigParser()
    profile["default"] = values
    stream = io.StringIO()
    profile.write(stream)
    return stream.getvalue().encode()
