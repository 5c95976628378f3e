# SPDX-License-Identifier: MIT
"""A server of a bucket that is slow or endless: by its endpoint it is any server."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path

import pytest

from builder.cache.remote import open_remote
from builder.choices import CacheMode
from builder.errors import DownloadError
from builder.net import rate, s3
from builder.net.location import Location, parse_location
from builder.net.s3 import TROUBLE, make_client, say
from builder.release.bucket import Bucket
from builder.release.multipart import find_uploads
from tests.support.http_server import Behave, answer, drip, drip_headers, flood, go_on, served

pytestmark = pytest.mark.usefixtures("aws_user", "quick")
EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
PAGE = (
    b"<ListBucketResult><IsTruncated>true</IsTruncated>"
    b"<NextContinuationToken>%d</NextContinuationToken></ListBucketResult>"
)
UPLOADS = (
    b"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>%d</NextKeyMarker>"
    b"<NextUploadIdMarker>%d</NextUploadIdMarker></ListMultipartUploadsResult>"
)
SLOW = "cannot be used: the server sends less than 1 KiB a second"
LONG = "cannot be used: the server sends more than 64 KiB"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "PIECE_S", 0.3)
    monkeypatch.setattr(s3, "ANSWER_BYTES", 64 * 1024)
    monkeypatch.setattr(rate, "HEAD_BYTES", 64 * 1024)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)


@contextmanager
def asked(behave: Behave) -> Iterator[Location]:
    with served(behave) as address:
        yield parse_location(f"s3://bucket/place?region=eu-central-1&endpoint={address}", CacheMode.RW, "--to")


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Break off in what is told of an object that cannot be had."""
    handler.send_response(404)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"ff\r\n<Error>")


def use(location: Location, ask: str) -> object:
    return Bucket(location).list("x/") if ask == "list" else Bucket(location).read("x")


@pytest.mark.parametrize("ask", ["list", "read"])
@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (drip, SLOW),
        (drip_headers, SLOW),
        (go_on, f"{LONG}|{SLOW}"),
        (partial(drip, status=404), SLOW),
        (partial(flood, status=404), LONG),
        (cut, "breaks off its answer"),
    ],
    ids=["drip", "drip headers", "never begin", "drip an error", "flood an error", "cut an error"],
)
def test_an_answer_without_an_end_is_left(ask: str, behave: Behave, words: str) -> None:
    begun = time.monotonic()
    with asked(behave) as location, pytest.raises(DownloadError, match=words):
        use(location, ask)
    assert time.monotonic() - begun < 10


def test_a_list_in_one_page_without_an_end_is_left() -> None:
    with asked(flood) as location, pytest.raises(DownloadError, match=LONG):
        use(location, "list")


@pytest.mark.parametrize(
    ("page", "ask"),
    [
        (lambda number: PAGE % number, lambda location: Bucket(location).list("x/")),
        (lambda number: UPLOADS % (number, number), lambda at: find_uploads(make_client(at), "bucket", "place")),
    ],
    ids=["objects", "uploads"],
)
def test_pages_without_an_end_are_left(
    page: Callable[[int], bytes], ask: Callable[[Location], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MOST_PAGES", 3)
    numbers = count()
    with (
        asked(lambda handler: answer(handler, page(next(numbers)))) as location,
        pytest.raises((DownloadError, *TROUBLE)) as caught,
    ):
        ask(location)
    assert "does not define" in str(caught.value) or "does not define" in say(caught.value)
    assert next(numbers) <= 5


def test_an_object_may_be_as_long_as_it_is(tmp_path: Path) -> None:
    content = bytes(1024 * 1024)

    def behave(handler: BaseHTTPRequestHandler) -> None:
        answer(handler, EMPTY if "list-type" in handler.path else content, header=("ETag", '"x"'))

    with asked(behave) as location, open_remote(location) as remote, (tmp_path / "object").open("w+b") as stream:
        assert remote.fetch("ab" * 32, stream)
    assert (tmp_path / "object").read_bytes() == content


@pytest.mark.parametrize("behave", [drip, drip_headers])
def test_a_build_goes_on_without_a_slow_cache(behave: Behave, capsys: pytest.CaptureFixture[str]) -> None:
    """It is asked once whether it is there; what was left is not asked again."""

    def first(handler: BaseHTTPRequestHandler) -> None:
        if "list-type" in handler.path:
            answer(handler, EMPTY)
        else:
            behave(handler)

    with asked(first) as location, open_remote(location) as remote:
        assert not remote.fetch("ab" * 32, io.BytesIO())
        assert remote.read_ref("layer/x") is None
    assert f"{SLOW}; this build goes on without it" in capsys.readouterr().err
