# SPDX-License-Identifier: MIT
"""A shared store: objects that machines share, and objects that are refused."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from builder.cache.remote import PART_BYTES
from tests.support.bucket import BUCKET, Bucket
from tests.support.log import Heard
from tests.support.shared_store import CONTENT, DIGEST, OBJECT, REF, Machine, shared, write

pytestmark = pytest.mark.usefixtures("short_timeouts")


def test_what_one_machine_made_another_has(machine: Machine, runs: ExitStack, tmp_path: Path, heard: Heard) -> None:
    one = machine("one")
    one.set_ref("layer/base", one.add(write(tmp_path / "source")), {"packages": "3"})
    runs.close()
    two = machine("two")
    ref = two.find_ref("layer/base")
    assert ref
    assert (ref.sha256, ref.facts) == (DIGEST, {"packages": "3"})
    assert not two.has(DIGEST)
    assert two.link(DIGEST, tmp_path / "out")
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
    one.set_ref("layer/base", one.add(write(tmp_path / "source")), {})
    runs.close()
    assert bucket.list_keys() == [OBJECT, REF]
    assert bucket.read(OBJECT) == CONTENT
    assert json.loads(bucket.read(REF)) == {"sha256": DIGEST, "facts": {}}


def test_what_is_here_is_not_asked_for(machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path) -> None:
    two = shared(machine, runs, tmp_path)
    two.find_ref("layer/base")
    two.link(DIGEST, tmp_path / "out")
    before = len(bucket.door.asked)
    two.find_ref("layer/base")
    two.link(DIGEST, tmp_path / "again")
    two.prefetch([DIGEST])
    assert len(bucket.door.asked) == before


def test_what_came_from_there_is_not_sent_back(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path
) -> None:
    two = shared(machine, runs, tmp_path)
    puts = bucket.door.count("PUT")
    two.find_ref("layer/base")
    two.link(DIGEST, tmp_path / "out")
    runs.close()
    assert bucket.door.count("PUT") == puts


def test_what_is_there_already_is_not_sent_again(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path
) -> None:
    two = shared(machine, runs, tmp_path)
    two.add(write(tmp_path / "source"))
    runs.close()
    assert bucket.door.count("PUT", DIGEST) == 1


def test_what_was_looked_for_is_sent_without_asking_again(machine: Machine, bucket: Bucket, tmp_path: Path) -> None:
    one = machine("one")
    one.prefetch([DIGEST])
    assert not one.link(DIGEST, tmp_path / "out")
    one.add(write(tmp_path / "source"))
    assert bucket.door.count("HEAD", DIGEST) + bucket.door.count("GET", DIGEST) == 1


def test_many_come_at_once(machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard) -> None:
    one, contents = machine("one"), [f"package {number}\n".encode() * 1000 for number in range(60)]
    digests = [one.add(write(tmp_path / "source", content)) for content in contents]
    runs.close()
    two = machine("two")
    two.prefetch([*digests, DIGEST])
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
    assert two.link(digest, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == large
    runs.close()
    assert heard.texts("note")[-1] == "shared cache: took 1 object, 17.1 MiB"


def test_an_empty_object(machine: Machine, runs: ExitStack, tmp_path: Path, heard: Heard) -> None:
    two = shared(machine, runs, tmp_path, b"")
    assert two.link(hashlib.sha256(b"").hexdigest(), tmp_path / "out")
    assert heard.texts("warn") == []


def test_of_two_names_the_last_counts(machine: Machine, runs: ExitStack, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "other"):
        store = machine(name)
        digests.append(store.add(write(tmp_path / "source", name.encode())))
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
    assert not two.link(DIGEST, tmp_path / "out")
    two.add(write(tmp_path / "source"))
    runs.close()
    assert bucket.read(OBJECT) == CONTENT
    assert heard.texts("warn") == []


def test_read_only_sends_nothing(machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path) -> None:
    shared(machine, runs, tmp_path)
    puts = bucket.door.count("PUT")
    reader = machine("reader", mode="ro")
    assert reader.link(DIGEST, tmp_path / "out")
    reader.set_ref("own", reader.add(write(tmp_path / "source", b"own")), {})
    runs.close()
    assert reader.find_ref("own")
    assert bucket.door.count("PUT") == puts


@pytest.mark.parametrize("wrong", [CONTENT[:-1], CONTENT[:-1] + b"x", b""])
def test_a_wrong_object_is_refused_and_replaced(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path, heard: Heard, wrong: bytes
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.write(OBJECT, wrong)
    assert not two.link(DIGEST, tmp_path / "out")
    assert not two.has(DIGEST)
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "two/parts").iterdir()) == []
    assert heard.texts("warn") == [
        f"the shared cache's object {DIGEST} has sha256 {hashlib.sha256(wrong).hexdigest()}; it is not used"
    ]
    two.add(write(tmp_path / "source"))
    runs.close()
    assert bucket.read(OBJECT) == CONTENT


def test_one_that_was_cut_short_is_replaced_by_who_has_it(
    machine: Machine, runs: ExitStack, bucket: Bucket, tmp_path: Path
) -> None:
    two = shared(machine, runs, tmp_path)
    bucket.write(OBJECT, CONTENT[:100])
    two.add(write(tmp_path / "source"))
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
