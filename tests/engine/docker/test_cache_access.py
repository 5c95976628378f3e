# SPDX-License-Identifier: MIT
"""What a container is given of the shared cache, and what is not to be seen of it."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from builder.engine.docker.cache_access import CREDENTIALS, Access, find_access
from builder.errors import RecipeError
from builder.net.location import Location
from tests.support.bucket import ENVIRONMENT, KEY, SECRET, TOKEN

SERVER = "https://s3.example:9000"


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_shared_cache_nothing_is_given() -> None:
    assert find_access(None) == Access()


def test_credentials_go_by_a_file_alone() -> None:
    access = find_access(Location("cache", "ci", SERVER))
    profile = configparser.RawConfigParser()
    profile.read_string(access.secrets[CREDENTIALS].decode())
    assert dict(profile["default"]) == {
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_session_token": TOKEN,
    }
    assert access.environment["AWS_SHARED_CREDENTIALS_FILE"] == CREDENTIALS
    assert not [word for word in (KEY, SECRET, TOKEN) if word in f"{access.environment} {access}"]


def test_server_and_region_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", SERVER)
    access = find_access(Location("cache", "ci", writable=False))
    assert access.cache == Location("cache", "ci", SERVER, "eu-central-1", writable=False)


def test_amazon_is_found_there_as_here() -> None:
    access = find_access(Location("cache"))
    assert access.cache == Location("cache", region="eu-central-1")


def test_who_reads_without_credentials_does_so_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    access = find_access(Location("cache", endpoint=SERVER, writable=False))
    assert access.secrets == {}
    assert access.environment == {"AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.raises(RecipeError, match="no credentials to write with"):
        find_access(Location("cache", endpoint=SERVER))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "s3.localhost"])
def test_a_server_of_this_machine_alone_is_refused(host: str) -> None:
    with pytest.raises(RecipeError, match="a container cannot reach") as caught:
        find_access(Location("cache", endpoint=f"http://{host}:9000"))
    assert "host.docker.internal" in caught.value.hint


def test_the_engines_machine_has_a_name_there() -> None:
    assert find_access(Location("cache", endpoint="http://host.docker.internal:9000")).hosts == (
        "host.docker.internal:host-gateway",
    )
    assert find_access(Location("cache", endpoint=SERVER)).hosts == ()


def test_the_place_of_the_credentials_is_in_no_volume() -> None:
    assert not Path(CREDENTIALS).is_relative_to("/var/lib/boardwright")
