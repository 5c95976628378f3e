# SPDX-License-Identifier: MIT
"""What a container is given of the shared cache, and what is not to be seen of it."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from builder.engine.docker.cache_access import CREDENTIALS, Handed, hand_over
from builder.errors import RecipeError
from builder.net.location import Location, load_location
from tests.support.bucket import ENVIRONMENT, KEY, SECRET, TOKEN

SERVER = "https://s3.example:9000"


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


def option(handed: Handed, name: str) -> str:
    return handed.options[handed.options.index(name) + 1]


def test_without_a_shared_cache_nothing_is_given() -> None:
    assert hand_over(None) == Handed()


def test_credentials_go_by_a_file_alone() -> None:
    handed = hand_over(Location("cache", "ci", SERVER))
    profile = configparser.RawConfigParser()
    profile.read_string(handed.secrets[CREDENTIALS].decode())
    assert dict(profile["default"]) == {
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_session_token": TOKEN,
    }
    assert handed.environment["AWS_SHARED_CREDENTIALS_FILE"] == CREDENTIALS
    assert not [word for word in (KEY, SECRET, TOKEN) if word in f"{handed.options} {handed.environment} {handed}"]


def test_server_and_region_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", SERVER)
    handed = hand_over(Location("cache", "ci", writable=False))
    assert load_location(option(handed, "--cache"), "ro") == Location("cache", "ci", SERVER, "eu-central-1", False)
    assert option(handed, "--cache-mode") == "ro"


def test_amazon_is_found_there_as_here() -> None:
    handed = hand_over(Location("cache"))
    assert load_location(option(handed, "--cache"), "rw") == Location("cache", region="eu-central-1")
    assert option(handed, "--cache-mode") == "rw"


def test_who_reads_without_credentials_does_so_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    handed = hand_over(Location("cache", endpoint=SERVER, writable=False))
    assert handed.secrets == {}
    assert handed.environment == {"AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.raises(RecipeError, match="no credentials to write with"):
        hand_over(Location("cache", endpoint=SERVER))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "s3.localhost"])
def test_a_server_of_this_machine_alone_is_refused(host: str) -> None:
    with pytest.raises(RecipeError, match="a container cannot reach") as caught:
        hand_over(Location("cache", endpoint=f"http://{host}:9000"))
    assert "host.docker.internal" in caught.value.hint


def test_the_engines_machine_has_a_name_there() -> None:
    assert hand_over(Location("cache", endpoint="http://host.docker.internal:9000")).hosts == (
        "host.docker.internal:host-gateway",
    )
    assert hand_over(Location("cache", endpoint=SERVER)).hosts == ()


def test_the_place_of_the_credentials_is_in_no_volume() -> None:
    assert not Path(CREDENTIALS).is_relative_to("/var/lib/boardwright")
