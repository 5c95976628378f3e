# SPDX-License-Identifier: MIT
"""What a build in a container is given with credentials: the shared cache, and passwords of package archives.

They are found here, where the user's profile or this machine's role is, and go into the container's own filesystem
by the Engine's archive call, for its root alone. So they are in no image, no volume, no option and no environment,
which whoever may ask the Engine can see.
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
class Handed:
    """Parts of a request for a container."""

    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Content by its place in the container."""
    hosts: tuple[str, ...] = ()


def hand_over(location: Location | None) -> Handed:
    """Return what lets a container use the shared cache and package archives as this process would.

    Raises RecipeError (no credentials to write with, an endpoint that is this machine alone, no such file).
    """
    handed, auth, key = _hand_over_cache(location), find_auth(), find_key()
    files = {(VARIABLE, APT_AUTH): read_bytes(auth) if auth else None, (KEY_VARIABLE, CACHE_KEY): key}
    given = {names: content for names, content in files.items() if content is not None}
    return replace(
        handed,
        environment={**handed.environment, **dict(given.keys())},
        secrets={**handed.secrets, **{place: content for (_, place), content in given.items()}},
    )


def _hand_over_cache(location: Location | None) -> Handed:
    if location is None:
        return Handed()
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
    options = ("--cache", location.url, "--cache-mode", "rw" if location.writable else "ro")
    environment = {"AWS_EC2_METADATA_DISABLED": "true"}  # It is the user who shares, not the Engine's machine.
    hosts = find_hosts(urlsplit(endpoint).hostname)
    if credentials is None:
        return Handed(options, environment, hosts=hosts)
    known = {
        "aws_access_key_id": credentials.access_key,
        "aws_secret_access_key": credentials.secret_key,
        "aws_session_token": credentials.token,
    }
    text = _render({name: value for name, value in known.items() if value})
    environment["AWS_SHARED_CREDENTIALS_FILE"] = CREDENTIALS
    return Handed(options, environment, {CREDENTIALS: text}, hosts)


def _render(values: Mapping[str, str]) -> bytes:
    profile = configparser.RawConfigParser()
    profile["default"] = values
    stream = io.StringIO()
    profile.write(stream)
    return stream.getvalue().encode()
