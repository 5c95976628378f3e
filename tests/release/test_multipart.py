# SPDX-License-Identifier: MIT
"""Large files to a bucket: sent in parts, resumed, repeated, given up."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from builder import log
from builder.errors import ReleaseError, TrustError
from builder.release.multipart import MOST_PARTS, split
from builder.release.publish import publish
from tests.conftest import ROOT
from tests.support.bucket import BUCKET, ENVIRONMENT
from tests.support.bucket_target import IMAGE, MIB, PART, BucketTarget, unfinished


def test_parts_are_not_too_many() -> None:
    assert [part.size_bytes for part in split(12, 5)] == [5, 5, 2]
    assert len(split(MOST_PARTS * 7, 5)) <= MOST_PARTS
    assert sum(part.size_bytes for part in split(MOST_PARTS * 7 + 1, 5)) == MOST_PARTS * 7 + 1


@pytest.mark.parametrize(
    "fault",
    [
        lambda door: door.hang_up(only=r"PUT .*partNumber=2", times=2),
        lambda door: door.cut(only=r"PUT .*partNumber=2", times=2),
        lambda door: door.refuse(503, "SlowDown", only=r"PUT .*partNumber", times=2),
        lambda door: door.refuse(500, "InternalError", only=r"POST .*uploadId", times=1),
        lambda door: door.refuse(503, "SlowDown", only=r"PUT .*channels", times=1),
    ],
    ids=["reset in a part", "answer cut", "busy", "broken at the end", "busy at the channel"],
)
def test_what_passes_is_waited_for(bucket_target: BucketTarget, fault: Callable[[Any], None]) -> None:
    fault(bucket_target.server.door)
    bucket_target.release(size_bytes=12 * MIB)
    bucket_target.server.door.reset()
    bucket_target.check(size_bytes=12 * MIB)


def test_a_wrong_etag_is_no_damage(bucket_target: BucketTarget) -> None:
    def behave(handler: Any) -> bool:
        if handler.command == "PUT" and "channels" not in handler.path:
            handler.pass_on(changed={"ETag": '"not-an-md5"'})
            return True
        return False

    bucket_target.server.door.behave = behave
    bucket_target.release(size_bytes=12 * MIB)
    bucket_target.server.door.reset()
    bucket_target.check(size_bytes=12 * MIB)


@pytest.mark.parametrize("size_bytes", [3000, 12 * MIB])
def test_damage_on_the_way_is_repaired(bucket_target: BucketTarget, size_bytes: int) -> None:
    left = [1]

    def behave(handler: Any) -> bool:
        if handler.command == "PUT" and "img.xz" in handler.path and left[0]:
            left[0] -= 1
            handler.body = bytes(len(handler.body))
        return False

    bucket_target.server.door.behave = behave
    bucket_target.release(size_bytes=size_bytes)
    assert left == [0]
    bucket_target.check(size_bytes=size_bytes)


@pytest.mark.parametrize("size_bytes", [3000, 6 * MIB])
def test_damage_that_stays_is_no_release(bucket_target: BucketTarget, size_bytes: int) -> None:
    def behave(handler: Any) -> bool:
        if handler.command == "PUT" and "img.xz" in handler.path:
            handler.body = bytes(len(handler.body))
            handler.pass_on(changed={"ETag": '"another"'})
            return True
        return False

    bucket_target.server.door.behave = behave
    with pytest.raises(TrustError):
        bucket_target.release(size_bytes=size_bytes)
    bucket_target.server.door.reset()
    assert [key for key in bucket_target.server.list_keys() if "img" in key or "release.json" in key] == []
    assert unfinished(bucket_target.server) == []


def test_an_orderly_failure_leaves_no_unfinished_upload(bucket_target: BucketTarget) -> None:
    bucket_target.server.door.refuse(403, "AccessDenied", only=r"PUT .*partNumber=2")
    with pytest.raises(ReleaseError, match="answers AccessDenied"):
        bucket_target.release(size_bytes=12 * MIB)
    bucket_target.server.door.reset()
    assert unfinished(bucket_target.server) == []
    bucket_target.release(size_bytes=12 * MIB)
    bucket_target.check(size_bytes=12 * MIB)


def begin(bucket_target: BucketTarget, key: str, parts: dict[int, bytes], sha256: str = "") -> str:
    made = bucket_target.server.client.create_multipart_upload(Bucket=BUCKET, Key=key, Metadata={"sha256": sha256})
    for number, content in parts.items():
        bucket_target.server.client.upload_part(
            Bucket=BUCKET, Key=key, UploadId=made["UploadId"], PartNumber=number, Body=content
        )
    return made["UploadId"]


def test_what_a_killed_run_sent_is_gone_on_with(bucket_target: BucketTarget) -> None:
    item = bucket_target.order(size_bytes=12 * MIB).release_content.items[0]
    content = item.path.read_bytes()
    begin(bucket_target, IMAGE, {1: content[:PART], 2: bytes(PART)}, item.file.sha256)
    bucket_target.release(size_bytes=12 * MIB)
    door = bucket_target.server.door
    assert [door.count("PUT", f"partNumber={number}") for number in (1, 2, 3)] == [0, 1, 1]
    bucket_target.check(size_bytes=12 * MIB)


def test_progress_starts_with_the_parts_that_are_there(bucket_target: BucketTarget) -> None:
    item = bucket_target.order(size_bytes=12 * MIB).release_content.items[0]
    begin(bucket_target, IMAGE, {1: item.path.read_bytes()[:PART]}, item.file.sha256)
    stream = io.StringIO()
    with log.use(log.Json(stream)):
        bucket_target.release(size_bytes=12 * MIB)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    data = [row["data"] for row in rows if row["kind"] == "progress" and row["text"] == item.file.name]
    assert (data[0]["fraction"], data[-1]["fraction"]) == (PART / item.file.size_bytes, 1.0)
    assert data[-1]["speed"].endswith("/s")


def test_a_file_that_did_not_arrive_is_sent_again_and_the_log_says_so(bucket_target: BucketTarget) -> None:
    left = [1]

    def behave(handler: Any) -> bool:
        if handler.command == "PUT" and "img.xz" in handler.path and left[0]:
            left[0] -= 1
            handler.body = bytes(len(handler.body))
            handler.pass_on(changed={"ETag": '"another"'})
            return True
        return False

    bucket_target.server.door.behave = behave
    stream = io.StringIO()
    with log.use(log.Plain(stream)):
        bucket_target.release()
    assert f"{IMAGE.removeprefix('rel/')}: the upload was damaged; attempt 2 of 2 in 0 s" in stream.getvalue()


def test_an_upload_of_another_build_does_not_lend_its_digest(bucket_target: BucketTarget) -> None:
    begin(bucket_target, IMAGE, {1: bytes(PART)}, "cd" * 32)
    begin(bucket_target, "rel/v1.0/rpi/of-another-build.img.zst", {1: bytes(10)})
    begin(bucket_target, "rel/v2.0/rpi/of-another-tag.img.zst", {1: bytes(10)})
    bucket_target.release(size_bytes=12 * MIB)
    (other,) = unfinished(bucket_target.server)
    assert other["Key"] == "rel/v2.0/rpi/of-another-tag.img.zst"
    bucket_target.server.client.abort_multipart_upload(Bucket=BUCKET, Key=other["Key"], UploadId=other["UploadId"])
    bucket_target.check(size_bytes=12 * MIB)


def test_an_upload_that_somebody_ends_begins_anew(bucket_target: BucketTarget) -> None:
    bucket_target.server.door.refuse(404, "NoSuchUpload", only=r"PUT .*partNumber=1", times=1)
    bucket_target.release(size_bytes=12 * MIB)
    bucket_target.check(size_bytes=12 * MIB)


def test_where_unfinished_uploads_may_not_be_listed_one_does_without(bucket_target: BucketTarget) -> None:
    bucket_target.server.door.refuse(403, "AccessDenied", only=r"GET .*\?uploads")
    output = io.StringIO()
    with log.use(log.Plain(output)):
        bucket_target.release(size_bytes=6 * MIB)
    assert "unfinished uploads cannot be listed" in output.getvalue()
    bucket_target.server.door.reset()
    bucket_target.check(size_bytes=6 * MIB)


def test_a_killed_run_and_the_next_make_one_release(bucket_target: BucketTarget) -> None:
    packages = bucket_target.packages("v1.0", size_bytes=12 * MIB)
    words = ["release", "v1.0", "--packaged", packages, "--to", bucket_target.text, "--board", "rpi"]
    command = [sys.executable, ROOT / "tests/support/small_parts.py", *words]
    two_there, killed = threading.Event(), threading.Event()
    done = []

    def behave(handler: Any) -> bool:
        if "partNumber=3" in handler.path:
            two_there.wait(30)
            killed.wait(30)
            handler.close_connection = True
            return True
        if "partNumber" in handler.path:
            handler.pass_on()
            done.append(handler.path)
            if len(done) == 2:
                two_there.set()
            return True
        return False

    bucket_target.server.door.behave = behave
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(list(map(str, command)), cwd=bucket_target.root, env=environment) as process:
        assert two_there.wait(30)
        process.kill()
    killed.set()
    assert len(unfinished(bucket_target.server)) == 1
    assert "rel/v1.0/release.json" not in bucket_target.server.list_keys()
    bucket_target.server.door.reset()
    again = subprocess.run(
        list(map(str, command)), cwd=bucket_target.root, env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"s3://{BUCKET}/rel/v1.0/release.json\n"
    assert [bucket_target.server.door.count("PUT", f"partNumber={number}") for number in (1, 2, 3)] == [0, 0, 1]
    bucket_target.check(size_bytes=12 * MIB)


def test_an_interrupt_waits_for_no_slow_network_and_leaves_nothing(bucket_target: BucketTarget) -> None:
    packages = bucket_target.packages("v1.0", size_bytes=12 * MIB)
    words = ["release", "v1.0", "--packaged", packages, "--to", bucket_target.text, "--board", "rpi"]
    slow = threading.Event()

    def receive(handler: Any) -> bytes:
        if "partNumber=2" not in handler.path:
            return bytes(handler.receive())
        slow.set()
        pieces = []
        for _ in range(int(handler.headers["Content-Length"]) // 65536):
            pieces.append(handler.rfile.read(65536))
            bucket_target.server.door.end.wait(0.1)
            if not pieces[-1]:
                raise ConnectionResetError
        return b"".join(pieces)

    bucket_target.server.door.receive = receive
    command = [sys.executable, ROOT / "tests/support/small_parts.py", *words]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        list(map(str, command)), cwd=bucket_target.root, env=environment, stderr=subprocess.PIPE
    ) as process:
        assert slow.wait(30)
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert b"Traceback" not in output
    assert unfinished(bucket_target.server) == []


def test_a_file_that_changes_while_it_is_sent_is_refused(bucket_target: BucketTarget) -> None:
    for size_bytes in (3000, 6 * MIB):
        order = bucket_target.order(size_bytes=size_bytes, seed=str(size_bytes))
        image = order.release_content.items[0].path
        image.write_bytes(bytes(size_bytes))
        with pytest.raises(TrustError, match="changed while it was sent"):
            publish([bucket_target.tree()], order)
    assert "rel/v1.0/release.json" not in bucket_target.server.list_keys()
