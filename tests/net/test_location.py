# SPDX-License-Identifier: MIT
"""What `--cache` may say, and what is wrong with what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.choices import CacheMode
from builder.errors import RecipeError
from builder.net.location import Location, load_location
from tests.test_cli import call, check_error


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("s3://cache", Location("cache")),
        ("s3://cache/", Location("cache")),
        ("s3://cache/a//b/", Location("cache", "a/b")),
        ("s3://cache/a?endpoint=https://s3.example:9000", Location("cache", "a", "https://s3.example:9000")),
        ("s3://cache?region=eu-west-1", Location("cache", region="eu-west-1")),
        ("s3://Old_Bucket/a", Location("Old_Bucket", "a")),
    ],
)
def test_a_place_is_read_and_written(text: str, location: Location) -> None:
    read = load_location(text, CacheMode.RW)
    assert read == location
    assert load_location(location.url, CacheMode.RW) == location


def test_without_a_place_nothing_is_shared() -> None:
    assert load_location("", CacheMode.RW) is None


def test_the_mode_says_what_may_be_done() -> None:
    read_only = load_location("s3://cache", CacheMode.RO)
    assert read_only
    assert not read_only.writable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cache", "is not an s3://BUCKET URL"),
        ("https://cache/a", "is not an s3://BUCKET URL"),
        ("s3:///a", "is not an s3://BUCKET URL"),
        ("s3://a b/c", "is not an s3://BUCKET URL"),
        ("s3://cache/a#b", "is not an s3://BUCKET URL"),
        ("s3://cache?endpont=http://x", "unknown option endpont"),
        ("s3://cache?endpoint=minio:9000", "is not the URL of a server"),
        ("s3://cache?endpoint=", ""),
        ("s3://cache?endpoint=https://x?y", "is not the URL of a server"),
    ],
)
def test_what_is_no_place_is_said(text: str, words: str) -> None:
    if not words:
        assert load_location(text, CacheMode.RW) == Location("cache")
        return
    with pytest.raises(RecipeError, match=words) as caught:
        load_location(text, CacheMode.RW)
    assert "BOARDWRIGHT_CACHE" in caught.value.hint


@pytest.mark.parametrize("text", ["s3://key:hunter2@cache/a", "s3://cache?endpoint=https://joe:hunter2@x"])
def test_credentials_in_it_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(RecipeError, match="has a user or a") as caught:
        load_location(text, CacheMode.RW)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_the_command_line_says_it_before_anything_is_built(tmp_path: Path) -> None:
    here = ("--state", tmp_path / "state", "--output", tmp_path / "dist")
    check_error(call("build", "rpi", "--cache", "s4://x", *here), 3, "--cache", "is not an s3://BUCKET URL")
    check_error(call("build", "rpi", *here, BOARDWRIGHT_CACHE="s4://x"), 3, "--cache", "is not an s3://BUCKET URL")
    done = call("build", "rpi", "--cache", "s3://x", *here, BOARDWRIGHT_CACHE_MODE="wo")
    assert (done.returncode, "'ro', 'rw'" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "state").exists()
