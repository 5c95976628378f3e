# SPDX-License-Identifier: MIT
"""Pass credentials to a build in a container: of the shared cache and of package archives.

They are found on this machine, from the user's profile or the machine's role. The Engine's archive call writes them
into the container's filesystem, readable by its root only. So they are in no image, volume, option or environment,
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
    """Settings and secrets with which a container uses the shared cache and package archives like this process."""

    cache: Location | None = None
    """Location of the shared cache, as seen from the container."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Additional environment of the container, which every user of the Engine can see."""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Content of files by path in the container, readable by its root only."""
    hosts: tuple[str, ...] = ()
    """Additional host names for the container, each as NAME:ADDRESS."""


def find_access(location: Location | None) -> Access:
    """Return the access of a container to the shared cache and package archives.

    Raises RecipeError (no credentials to write with, an endpoint on the loopback interface, a missing file).
    """
    access, auth, key = _find_cache_access(location), find_auth(), find_key()
    files = {(VARIABLE, APT_AUTH): read_bytes(auth) if auth else None, (KEY_VARIABLE, CACHE_KEY): key}
    existing = {names: content for names, content in files.items() if content is not None}
    return replace(
        access,
        environment={**access.environment, **dict(existing.keys())},
        secrets={**access.secrets, **{path: content for (_, path), content in existing.items()}},
    )


def _find_cache_access(location: Location | None) -> Access:
    if location is None:
        return Access()
    from builder.net.s3 import find_credentials, make_client  # noqa: PLC0415 - boto3 loads slowly; few builds need it

    client, credentials = make_client(location), find_credentials(location)
    endpoint = client.meta.endpoint_url
    if AMAZON.fullmatch(endpoint):
        endpoint = location.endpoint
    elif is_loopback(urlsplit(endpoint).hostname or ""):
        raise RecipeError(
            f"--cache: a container cannot reach {endpoint}, because a loopback address is the container itself",
            hint=f"let the server listen on all addresses and use http://{HERE}:PORT, or use --engine local",
        )
    location = replace(location, endpoint=endpoint, region=client.meta.region_name)
    environment = {"AWS_EC2_METADATA_DISABLED": "true"}  # Use the user's credentials, not the Engine machine's role.
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
