# SPDX-License-Identifier: MIT
"""Stores of two machines with one bucket behind them: what is shared, what is refused, what a bad server may cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from builder import log
from builder.cache.remote import PART_BYTES, Remote, open_remote
from builder.cache.store import Store
from builder.choices import CacheMode
from builder.errors import SpaceError, ToolError
from builder.net import s3
from builder.net.location import load_location
from tests.support.bucket import BUCKET, Bucket
from tests.support.log import Heard

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OBJECT, REF = f"ci/objects/{DIGEST[:2]}/{DIGEST}", "ci/refs/layer%2Fbase.json"

Machine = Callable[..., Store]


@pytest.fixture
def heard() -> Iterator[Heard]:
    sink = Heard()
    with log.use(sink):
        yield sink


@pytest.fixture(autouse=True)
def _patience(aws_user: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "READ_S", 2)


@pytest.fixture
def runs() -> Iterator[ExitStack]:
    """The builds of a test: `runs.close()` is their end."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def machine(tmp_path: Path, bucket: Bucket, runs: ExitStack) -> Machine:
    """Return a store of a machine with the bucket behind it; one name, one state directory."""

    def make(name: str, *, mode: str = "rw", location: str = "") -> Store:
        place = load_location(location or bucket.location, CacheMode(mode))
        assert place
        return Store(tmp_path / name, runs.enter_context(open_remote(place)))

    return make


def write(path: Path, content: bytes = CONTENT) -> Path:
    path.write_bytes(content)
    return path


# what is shared


def test_what_one_machine_made_another_has(machine: Machine, runs: ExitStack, tmp_path: Path, heard: Heard) -> None:
    one = machine("one")
    one.set_ref("layer/base", one.take(write(tmp_path / "source")), {"packages": "3"})
    runs.close()
    two = machine("two")
    ref = two.find_ref("layer/base")
    assert ref
    assert (ref.sha256, ref.facts) == (DIGEST, {"packages": "3"})
    assert not two.has(DIGEST)
    assert two.place(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert two.has(DIGEST)
    runs.close()
    assert heard.texts("warn") == []
    assert [text for text in heard.texts("note") if text.startswith("shared cache:")] == [
        "shared cache: sent 1 object, 1 MiB",
        "shared cache: took 1 object, 1 MiB",
    ]


def test_the_layout_is_the_documented_one(machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path) -> None:
    one = machine("one")
    one.set_ref("layer/base", one.take(write(tmp_path / "source")), {})
    runs.close()
    assert bucket.list_keys() == [OBJECT, REF]
    assert bucket.read(OBJECT) == CONTENT
    assert json.loads(bucket.read(REF)) == {"sha256": DIGEST, "facts": {}}


def test_what_is_here_is_not_asked_for(machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path) -> None:
    two = shared(machine, runs, tmp_path)
    two.find_ref("layer/base")
    two.place(DIGEST, tmp_path / "out")
    before = len(bucket.door.asked)
    two.find_ref("layer/base")
    two.place(DIGEST, tmp_path / "again")
    two.bring([DIGEST])
    assert len(bucket.door.asked) == before


def shared(machine: Machine, runs: ExitStack, tmp_path: Path, content: bytes = CONTENT) -> Store:
    """Let one machine share an object, and return the store of another."""
    one = machine("one")
    one.set_ref("layer/base", one.take(write(tmp_path / "source", content)), {})
    runs.close()
    return machine("two")


def test_what_came_from_there_is_not_sent_back(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path
) -> None:
    two = shared(machine, runs, tmp_path)
    puts = bucket.door.count("PUT")
    two.find_ref("layer/base")
    two.place(DIGEST, tmp_path / "out")
    runs.close()
    assert bucket.door.count("PUT") == puts


def test_what_is_there_already_is_not_sent_again(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path
) -> None:
    two = shared(machine, runs, tmp_path)
    two.take(write(tmp_path / "source"))
    runs.close()
    assert bucket.door.count("PUT", DIGEST) == 1


def test_what_was_looked_for_is_sent_without_asking_again(machine: Machine, bucket: Bucket, tmp_path: Path) -> None:
    one = machine("one")
    one.bring([DIGEST])
    assert not one.place(DIGEST, tmp_path / "out")
    one.take(write(tmp_path / "source"))
    assert bucket.door.count("HEAD", DIGEST) + bucket.door.count("GET", DIGEST) == 1


def test_many_come_at_once(machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard) -> None:
    one, contents = machine("one"), [f"package {number}\n".encode() * 1000 for number in range(60)]
    digests = [one.take(write(tmp_path / "source", content)) for content in contents]
    runs.close()
    two = machine("two")
    two.bring([*digests, DIGEST])
    assert sorted(entry.sha256 for entry in two.entries()) == sorted(digests)
    assert not two.has(DIGEST)
    assert heard.texts("warn") == []
    assert list((tmp_path / "two/parts").iterdir()) == []


def test_a_large_object_goes_in_parts(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard
) -> None:
    large = bytes(range(256)) * (PART_BYTES // 256) + b"and the rest" * 100_000
    two = shared(machine, runs, tmp_path, large)
    digest = hashlib.sha256(large).hexdigest()
    assert bucket.door.count("PUT", "partNumber") == 2
    assert two.place(digest, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == large
    runs.close()
    assert heard.texts("note")[-1] == "shared cache: took 1 object, 17.1 MiB"


def test_an_empty_object(machine: Machine, runs: ExitStack, tmp_path: Path, heard: Heard) -> None:
    two = shared(machine, runs, tmp_path, b"")
    assert two.place(hashlib.sha256(b"").hexdigest(), tmp_path / "out")
    assert heard.texts("warn") == []


def test_of_two_names_the_last_counts(machine: Machine, runs: ExitStack, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "other"):
        store = machine(name)
        digests.append(store.take(write(tmp_path / "source", name.encode())))
        store.set_ref("layer/base", digests[-1], {})
        runs.close()
    ref = machine("two").find_ref("layer/base")
    assert ref
    assert ref.sha256 == digests[1]


def test_what_expired_in_the_bucket_is_a_miss_and_sent_again(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.client.delete_object(Bucket=BUCKET, Key=OBJECT)
    assert two.find_ref("layer/base")
    assert not two.place(DIGEST, tmp_path / "out")
    two.take(write(tmp_path / "source"))
    runs.close()
    assert bucket.read(OBJECT) == CONTENT
    assert heard.texts("warn") == []


def test_read_only_sends_nothing(machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path) -> None:
    shared(machine, runs, tmp_path)
    puts = bucket.door.count("PUT")
    reader = machine("reader", mode="ro")
    assert reader.place(DIGEST, tmp_path / "out")
    reader.set_ref("own", reader.take(write(tmp_path / "source", b"own")), {})
    runs.close()
    assert reader.find_ref("own")
    assert bucket.door.count("PUT") == puts


# what is refused


@pytest.mark.parametrize("wrong", [CONTENT[:-1], CONTENT[:-1] + b"x", b""])
def test_a_wrong_object_is_refused_and_replaced(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard, wrong: bytes
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.write(OBJECT, wrong)
    assert not two.place(DIGEST, tmp_path / "out")
    assert not two.has(DIGEST)
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "two/parts").iterdir()) == []
    assert heard.texts("warn") == [
        f"the shared cache's object {DIGEST} has sha256 {hashlib.sha256(wrong).hexdigest()}; it is not used"
    ]
    two.take(write(tmp_path / "source"))
    runs.close()
    assert bucket.read(OBJECT) == CONTENT


def test_one_that_was_cut_short_is_replaced_by_who_has_it(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.write(OBJECT, CONTENT[:100])
    two.take(write(tmp_path / "source"))
    runs.close()
    assert bucket.read(OBJECT) == CONTENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"sha256": "0", "facts": {}}',
        '{"sha256": "../../../../etc/passwd", "facts": {}}',
        '{"sha256": 1, "facts": {}}',
        f'{{"sha256": "{DIGEST}\\n", "facts": {{}}}}',
        f'{{"sha256": "{DIGEST}", "facts": 1}}',
        "\xff",
    ],
)
def test_a_name_that_cannot_be_read_is_refused(
    machine: Machine, bucket: Bucket, tmp_path: Path, heard: Heard, text: str
) -> None:
    bucket.write(REF, text.encode("latin-1"))
    store = machine("one")
    assert store.find_ref("layer/base") is None
    assert store.refs() == []
    assert heard.texts("warn") == ["the ref layer/base of the shared cache cannot be read; it is not used"]


# what a bad server may cost


def use_everything(store: Store, tmp_path: Path) -> None:
    """All that a build does; none of it may fail, and it has what was taken here."""
    assert store.find_ref("absent") is None
    assert not store.place("0" * 64, tmp_path / "out")
    store.bring(["1" * 64, "2" * 64])
    digest = store.take(write(tmp_path / "source", b"own"))
    store.set_ref("own", digest, {})
    assert store.place(digest, tmp_path / "own")
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
    assert two.place(DIGEST, tmp_path / "out")
    assert heard.texts("warn") == []


def test_a_connection_that_breaks_once_is_overcome(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.door.cut(only="GET .*objects", times=1)
    assert two.place(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert heard.texts("warn") == []


@pytest.mark.parametrize("only", ["GET .*objects", "GET .*refs"])
def test_a_connection_that_always_breaks_is_left_out(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard, only: str
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.door.cut(only=only)
    assert two.find_ref("layer/base") is None or not two.place(DIGEST, tmp_path / "out")
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
    store.take(write(tmp_path / "source"))
    runs.close()
    assert bucket.list_keys() == []
    assert heard.texts("warn") == []


def take_and_raise(bucket: Bucket, tmp_path: Path, error: BaseException) -> None:
    """A build that takes something and then ends badly."""
    place = load_location(bucket.location, CacheMode.RW)
    assert place
    with open_remote(place) as remote:
        Store(tmp_path / "one", remote).take(write(tmp_path / "source"))
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
        two.place(DIGEST, tmp_path / "out")
    assert list((tmp_path / "two/parts").iterdir()) == []
