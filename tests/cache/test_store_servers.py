# SPDX-License-Identifier: MIT
"""A shared store whose server refuses, breaks off, is silent or absent: left out, with one warning."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from builder.cache.remote import Remote, open_remote
from builder.cache.store import Store
from builder.choices import CacheMode
from builder.errors import SpaceError, ToolError
from builder.net import s3
from builder.net.location import load_location
from tests.support.bucket import BUCKET, Bucket
from tests.support.log import Heard
from tests.support.shared_store import CONTENT, DIGEST, OBJECT, Machine, shared, write

pytestmark = pytest.mark.usefixtures("short_timeouts")


def use_everything(store: Store, tmp_path: Path) -> None:
    """All that a build does; none of it may fail, and it has what was taken here."""
    assert store.find_ref("absent") is None
    assert not store.link("0" * 64, tmp_path / "out")
    store.prefetch(["1" * 64, "2" * 64])
    digest = store.add(write(tmp_path / "source", b"own"))
    store.set_ref("own", digest, {})
    assert store.link(digest, tmp_path / "own")
    assert store.find_ref("own")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "AccessDenied", "s3:GetObject and s3:ListBucket"),
        (403, "InvalidAccessKeyId", "answers InvalidAccessKeyId: no luck today"),
        (400, "ExpiredToken", "get new credentials"),
        (404, "NoSuchBucket", "make the bucket"),
        (500, "InternalError", "answers InternalError"),
        (503, "SlowDown", "answers SlowDown"),
    ],
)
def test_a_server_that_refuses_is_left_out_and_said_once(
    machine: Machine,
    runs: ExitStack,
    bucket: Bucket,
    tmp_path: Path,
    heard: Heard,
    status: int,
    code: str,
    words: str,
) -> None:
    bucket.door.refuse(status, code)
    store = machine("one")
    asked = len(bucket.door.asked)
    use_everything(store, tmp_path)
    runs.close()
    assert len(bucket.door.asked) == asked, "it is not asked again"
    assert len(heard.texts("warn")) == 1
    assert words in heard.texts("warn")[0]
    assert "this build goes on without it" in heard.texts("warn")[0]


@pytest.mark.parametrize("only", ["HEAD|GET .*objects", "GET .*refs/absent", "PUT .*refs/own", "PUT .*objects"])
@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (500, "InternalError")])
def test_trouble_in_the_middle_costs_no_more(
    machine: Machine,
    runs: ExitStack,
    bucket: Bucket,
    tmp_path: Path,
    heard: Heard,
    only: str,
    status: int,
    code: str,
) -> None:
    store = machine("one")
    bucket.door.refuse(status, code, only=only)
    use_everything(store, tmp_path)
    runs.close()
    assert len(heard.texts("warn")) == 1, heard.events
    assert "this build goes on without it" in heard.texts("warn")[0]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.door.refuse(503, "SlowDown", only="GET", times=1)
    assert two.find_ref("layer/base")
    bucket.door.refuse(503, "SlowDown", only="GET", times=1)
    assert two.link(DIGEST, tmp_path / "out")
    assert heard.texts("warn") == []


def test_a_connection_that_breaks_once_is_overcome(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.door.cut(only="GET .*objects", times=1)
    assert two.link(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert heard.texts("warn") == []


@pytest.mark.parametrize("only", ["GET .*objects", "GET .*refs"])
def test_a_connection_that_always_breaks_is_left_out(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard, only: str
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.door.cut(only=only)
    assert two.find_ref("layer/base") is None or not two.link(DIGEST, tmp_path / "out")
    assert list((tmp_path / "two").glob("parts/*")) == []
    assert len(heard.texts("warn")) == 1


def test_nobody_listens(machine: Machine, runs: ExitStack, tmp_path: Path, heard: Heard) -> None:
    store = machine("one", location=f"s3://{BUCKET}?endpoint=http://127.0.0.1:9")
    use_everything(store, tmp_path)
    runs.close()
    assert heard.texts("warn") == [f"the shared cache s3://{BUCKET} cannot be reached; this build goes on without it"]


def test_a_server_that_is_silent(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "READ_S", 0.3)
    bucket.door.hold()
    store = machine("one")
    use_everything(store, tmp_path)
    runs.close()
    assert ["does not answer in time" in text for text in heard.texts("warn")] == [True]


def test_a_bucket_that_is_not_there(machine: Machine, bucket: Bucket, tmp_path: Path, heard: Heard) -> None:
    use_everything(machine("one", location=f"s3://another?endpoint={bucket.url}"), tmp_path)
    (warning,) = heard.texts("warn")
    assert "s3://another answers NoSuchBucket" in warning
    assert "make the bucket" in warning


def test_an_object_that_goes_before_it_is_sent_is_not_missed(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, send = machine("one"), Remote.send

    def late(remote: Remote, sha256: str, path: Path) -> None:
        path.unlink()
        send(remote, sha256, path)

    monkeypatch.setattr(Remote, "send", late)
    store.add(write(tmp_path / "source"))
    runs.close()
    assert bucket.list_keys() == []
    assert heard.texts("warn") == []


def take_and_raise(bucket: Bucket, tmp_path: Path, error: BaseException) -> None:
    """A build that takes something and then ends badly."""
    place = load_location(bucket.location, CacheMode.RW)
    assert place
    with open_remote(place) as remote:
        Store(tmp_path / "one", remote).add(write(tmp_path / "source"))
        raise error


def test_an_interrupt_gives_up_what_is_not_sent(
    bucket: Bucket, tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "READ_S", 0.3)
    bucket.door.hold(only="PUT")
    with pytest.raises(KeyboardInterrupt):
        take_and_raise(bucket, tmp_path, KeyboardInterrupt())
    assert bucket.list_keys() == []
    assert heard.texts("start") == [], "nothing is waited for"


def test_a_build_that_failed_shares_what_it_made(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(ToolError):
        take_and_raise(bucket, tmp_path, ToolError("a later stage"))
    assert bucket.read(OBJECT) == CONTENT


def test_a_full_disk_here_is_no_trouble_of_the_server(
    machine: Machine, runs: ExitStack, tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = shared(machine, runs, tmp_path)

    def fail(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Remote, "fetch", fail)
    with pytest.raises(SpaceError):
        two.link(DIGEST, tmp_path / "out")
    assert list((tmp_path / "two/parts").iterdir()) == []
