# SPDX-License-Identifier: MIT
"""A bucket that refuses, answers wrongly or not at all: the error, without credentials."""

from __future__ import annotations

import io
from typing import Any

import pytest

from builder import log
from builder.cache.remote import open_remote
from builder.choices import CacheMode
from builder.errors import BoardwrightError, DownloadError, RecipeError, ReleaseError
from builder.net.location import parse_location
from builder.release.bucket import Bucket
from builder.release.file_tree import FileTreePublisher
from builder.release.publish import publish
from tests.support.bucket import BUCKET, KEY, SECRET, TOKEN
from tests.support.bucket_target import BucketTarget


@pytest.mark.parametrize(
    ("status", "code", "only", "kind", "words"),
    [
        (403, "ExpiredToken", "", ReleaseError, "get new credentials"),
        (403, "AccessDenied", "PUT", ReleaseError, "s3:PutObject"),
        (403, "SignatureDoesNotMatch", "", ReleaseError, "SignatureDoesNotMatch"),
        (403, "AccessDenied", "HEAD", ReleaseError, "s3:ListBucket"),
        (500, "InternalError", r"GET .*\?uploads", DownloadError, "InternalError"),
        (404, "NoSuchBucket", "PUT", ReleaseError, "make the bucket"),
        (503, "SlowDown", "PUT .*img", DownloadError, "SlowDown"),
        (503, "SlowDown", "PUT .*release.json", DownloadError, "SlowDown"),
        (500, "InternalError", "PUT .*channels", DownloadError, "InternalError"),
    ],
)
def test_trouble_is_said_and_credentials_are_not(
    bucket_target: BucketTarget, status: int, code: str, only: str, kind: type[BoardwrightError], words: str
) -> None:
    bucket_target.server.door.refuse(status, code, only=only)
    output = io.StringIO()
    with log.use(log.Json(output)), pytest.raises(kind) as caught:
        bucket_target.release()
    text = f"{caught.value.message} {caught.value.hint}"
    assert words in text
    assert f"s3://{BUCKET}/rel" in text
    assert not [secret for secret in (KEY, SECRET, TOKEN) if secret in text + output.getvalue()]
    bucket_target.server.door.reset()
    bucket_target.release()
    bucket_target.check()


ODD = {
    "no ETag": (200, {}, b"{}"),
    "date": (200, {"ETag": '"x"', "Last-Modified": "yesterday"}, b"{}"),
    "number": (200, {"ETag": '"x"', "x-amz-missing-meta": "many"}, b"{}"),
    "list": (200, {"ETag": '"x"'}, b"<r><Contents><Size>1</Size></Contents></r>"),
    "circle": (307, {"Location": "/"}, b""),
}


@pytest.mark.parametrize("name", ODD)
def test_answers_that_s3_does_not_give(bucket_target: BucketTarget, name: str) -> None:
    def behave(handler: Any) -> bool:
        status, headers, content = ODD[name]
        handler.send_response(status)
        for each in {**headers, "Content-Length": str(len(content))}.items():
            handler.send_header(*each)
        handler.end_headers()
        handler.wfile.write(content)
        return True

    bucket_target.server.door.behave = behave
    place = Bucket(parse_location(bucket_target.server.location, CacheMode.RW, "--to"))
    with pytest.raises(DownloadError, match="sends an answer that S3 does not define"):
        place.list("channels/") if name == "list" else place.read("release.json")
    with open_remote(parse_location(bucket_target.server.location, CacheMode.RW, "--cache")) as remote:
        assert remote.read_ref("x") in (b"{}", b"<r><Contents><Size>1</Size></Contents></r>", None)


def test_a_description_has_an_end(bucket_target: BucketTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Bucket(parse_location(bucket_target.server.location, CacheMode.RW, "--to"))
    place.write("release.json", b"12345", mark=None, lasting=True)
    monkeypatch.setattr("builder.release.bucket.LONGEST", 5)
    held = place.read("release.json")
    assert held
    assert held.content == b"12345"
    monkeypatch.setattr("builder.release.bucket.LONGEST", 4)
    with pytest.raises(DownloadError, match=r"release.json is longer than the limit \(4 bytes\)"):
        place.read("release.json")


def test_a_server_that_is_not_there(bucket_target: BucketTarget) -> None:
    tree = FileTreePublisher(Bucket(parse_location(f"s3://{BUCKET}?endpoint=http://127.0.0.1:9", CacheMode.RW, "--to")))
    with pytest.raises(DownloadError, match="cannot be reached") as caught:
        publish([tree], bucket_target.order())
    assert "goes on where this ended" in caught.value.hint


def test_without_credentials_nothing_is_asked(bucket_target: BucketTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(RecipeError, match="--to: found no credentials to write with") as caught:
        bucket_target.tree()
    assert "--cache" not in caught.value.hint
    assert bucket_target.server.door.asked == []
