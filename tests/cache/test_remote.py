# SPDX-License-Identifier: MIT
"""The credentials and the place of a bucket, and that no log shows them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from builder import log
from builder.cache.remote import open_remote
from builder.cache.store import Store
from builder.choices import CacheMode
from builder.errors import RecipeError
from builder.net.location import Location, load_location
from builder.net.s3 import find_credentials, make_client
from tests.support.bucket import BUCKET, KEY, SECRET, TOKEN, Bucket

pytestmark = pytest.mark.usefixtures("aws_user")
NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name)


def load(bucket: Bucket, *, writable: bool = True) -> Location:
    location = load_location(bucket.location, CacheMode.RW if writable else CacheMode.RO)
    assert location
    return location


def test_requests_are_signed_with_what_the_environment_says(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    with open_remote(load(bucket)) as remote:
        Store(tmp_path / "store", remote).add(tmp_path / "source")
    for asked in bucket.door.asked:
        assert f"Credential={KEY}/" in asked.headers["Authorization"]
        assert "/eu-central-1/s3/" in asked.headers["Authorization"]
        assert asked.headers["X-Amz-Security-Token"] == TOKEN
        assert len(asked.headers["X-Amz-Content-SHA256"]) == 64, "the digest of what is sent is signed"
        assert SECRET not in str(asked.headers)


def test_a_profile_is_asked_too(no_credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = tmp_path / "credentials"
    profiles.write_text(f"[ci]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
    monkeypatch.setenv("AWS_PROFILE", "ci")
    found = find_credentials(Location(BUCKET))
    assert found
    assert (found.access_key, found.secret_key) == (KEY, SECRET)
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    with pytest.raises(RecipeError, match="nosuch") as caught:
        find_credentials(Location(BUCKET))
    assert "AWS_PROFILE" in caught.value.hint


def test_without_credentials_one_reads_unsigned(no_credentials: None, bucket: Bucket, tmp_path: Path) -> None:
    bucket.write("ci/refs/a.json", b'{"sha256": "%s", "facts": {}}' % (b"0" * 64))
    with open_remote(load(bucket, writable=False)) as remote:
        assert Store(tmp_path / "store", remote).find_ref("a")
    assert bucket.door.asked
    assert not any("Authorization" in asked.headers for asked in bucket.door.asked)


def test_without_credentials_one_cannot_write(no_credentials: None, bucket: Bucket) -> None:
    with pytest.raises(RecipeError, match="no credentials to write with") as caught, open_remote(load(bucket)):
        pass
    assert "--cache-mode ro" in caught.value.hint
    assert bucket.door.asked == []


def test_half_of_the_credentials_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RecipeError, match="cannot be read"):
        find_credentials(Location(BUCKET))


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_environment_may_name_the_server(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, bucket.url)
    with open_remote(Location(BUCKET)):
        assert bucket.door.count("GET", f"/{BUCKET}") == 1


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("minio:9000", "minio:9000"),
        ("https://joe:hunter2@x", "has a user or a password"),
        ("https://x?y", "is not the URL of a server"),
    ],
)
def test_a_server_of_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch, endpoint: str, words: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(RecipeError, match=words) as caught:
        make_client(Location(BUCKET))
    assert "hunter2" not in caught.value.message


def test_a_region_that_is_none() -> None:
    with pytest.raises(RecipeError, match="region"):
        make_client(Location(BUCKET, region="not a region!"))


def test_amazon_is_asked_where_nothing_is_said() -> None:
    assert make_client(Location(BUCKET)).meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken", "SignatureDoesNotMatch"])
def test_credentials_are_never_told(bucket: Bucket, tmp_path: Path, code: str) -> None:
    bucket.door.refuse(403, code, only="PUT")
    output = io.StringIO()
    (tmp_path / "source").write_bytes(b"content")
    with log.use(log.Json(output)), open_remote(load(bucket)) as remote:
        Store(tmp_path / "store", remote).add(tmp_path / "source")
    assert code in output.getvalue()
    assert not [word for word in (KEY, SECRET, TOKEN) if word in output.getvalue()]
