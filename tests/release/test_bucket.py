# SPDX-License-Identifier: MIT
"""A release in a bucket of a real S3 server."""

from __future__ import annotations

import hashlib
import io
import threading
from typing import Any

import pytest

from builder import log
from builder.choices import CacheMode
from builder.errors import ReleaseError
from builder.net.location import parse_location
from builder.release.bucket import Bucket
from builder.release.file_tree import FileTreePublisher, StoredObject
from builder.release.publish import dry_run, publish
from tests.support.bucket import BUCKET, REFUSAL
from tests.support.bucket_target import IMAGE, MIB, BucketTarget


def test_objects_say_what_they_are_and_how_long_they_last(bucket_target: BucketTarget) -> None:
    bucket_target.release()
    bucket_target.check()
    headers = {}
    for key in bucket_target.server.list_keys():
        head = bucket_target.server.client.head_object(Bucket=BUCKET, Key=key)
        name = key.rpartition("/")[2].removeprefix("boardwright-rpi-1.0")
        headers[name] = (head["ContentType"], head["CacheControl"])
        assert head["Metadata"]["sha256"] == hashlib.sha256(bucket_target.server.read(key)).hexdigest()
    lasting, moving = "public, max-age=31536000, immutable", "public, max-age=60, must-revalidate"
    assert headers == {
        ".SHA256SUMS": ("text/plain; charset=utf-8", lasting),
        ".img.xz": ("application/x-xz", lasting),
        ".manifest.json": ("application/json", lasting),
        ".manifest.json.minisig": ("text/plain; charset=utf-8", lasting),
        ".packages": ("text/plain; charset=utf-8", lasting),
        "release.json": ("application/json", lasting),
        "stable.json": ("application/json", moving),
        "latest.json": ("application/json", moving),
    }


def test_every_request_is_signed_with_the_digest_of_what_it_sends(bucket_target: BucketTarget) -> None:
    bucket_target.release(size_bytes=6 * MIB)
    puts = [asked for asked in bucket_target.server.door.asked if asked.method == "PUT"]
    assert len(puts) > 5
    assert all(len(asked.headers["X-Amz-Content-SHA256"]) == 64 for asked in puts)


def test_the_same_again_writes_nothing(bucket_target: BucketTarget) -> None:
    bucket_target.release()
    bucket_target.server.door.asked.clear()
    bucket_target.release()
    assert [asked for asked in bucket_target.server.door.asked if asked.method not in ("GET", "HEAD")] == []
    bucket_target.check()


def test_without_doing_it_nothing_is_written(bucket_target: BucketTarget) -> None:
    dry_run([bucket_target.tree()], bucket_target.order())
    assert bucket_target.server.list_keys() == []
    assert {asked.method for asked in bucket_target.server.door.asked} == {"GET", "HEAD"}


def test_a_released_tag_does_not_change(bucket_target: BucketTarget) -> None:
    bucket_target.release()
    with pytest.raises(ReleaseError, match=r"differs there"):
        bucket_target.release(seed="other")
    bucket_target.check()


def test_what_others_put_there_is_looked_into(bucket_target: BucketTarget) -> None:
    order = bucket_target.order()
    image, listing = (item.path.read_bytes() for item in order.release_content.items[:2])
    bucket_target.server.write(IMAGE, image)
    bucket_target.server.write("rel/v1.0/rpi/boardwright-rpi-1.0.packages", b"x" * len(listing))
    bucket_target.server.write("rel/v1.0/rpi/boardwright-rpi-1.0.SHA256SUMS", b"short")
    (done,) = dry_run([bucket_target.tree()], order)
    assert [step.what for step in done.steps[:3]] == ["there", "replace", "replace"]
    bucket_target.release()
    bucket_target.check()


class Together(Bucket):
    """Waits, when it has read a channel to change it, until the others have read it too."""

    def __init__(self, bucket_target: BucketTarget, barrier: threading.Barrier) -> None:
        super().__init__(parse_location(bucket_target.text, CacheMode.RW, "--to"))
        self._barrier = barrier
        self._count = 0

    def read(self, key: str) -> StoredObject | None:
        held = super().read(key)
        if key == "channels/stable.json":
            self._count += 1  # The first is for the notes.
            if self._count == 2:
                self._barrier.wait()
        return held


def test_releases_at_once_are_all_remembered(bucket_target: BucketTarget) -> None:
    barrier = threading.Barrier(3, timeout=30)
    orders = [bucket_target.order(f"v1.{number}") for number in range(3)]
    trees = [FileTreePublisher(Together(bucket_target, barrier)) for _ in orders]
    threads = [
        threading.Thread(target=publish, args=([tree], order)) for tree, order in zip(trees, orders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("stable", "latest"):
        assert {entry.tag for entry in bucket_target.channel(name).history} == {"v1.0", "v1.1", "v1.2"}
        assert bucket_target.channel(name).release.tag == "v1.2"
    assert bucket_target.server.door.count("PUT", "channels/stable") > 3, "no release met another at a channel"


def test_the_channels_of_a_bucket_can_be_listed(bucket_target: BucketTarget) -> None:
    bucket_target.release()
    bucket_target.server.write("rel/channels/below/other.json", b"")
    assert bucket_target.tree().store.list("channels/") == ["channels/latest.json", "channels/stable.json"]


def test_a_server_without_conditions_is_written_to_with_a_warning(bucket_target: BucketTarget) -> None:
    def behave(handler: Any) -> bool:
        if any(name in handler.headers for name in ("If-None-Match", "If-Match")):
            handler.answer(501, REFUSAL.format(code="NotImplemented", message="a header").encode())
            return True
        return False

    bucket_target.server.door.behave = behave
    output = io.StringIO()
    with log.use(log.Plain(output)):
        bucket_target.release()
    assert "knows no conditional writes" in output.getvalue()
    bucket_target.server.door.reset()
    bucket_target.check()
