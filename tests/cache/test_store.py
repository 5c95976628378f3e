# SPDX-License-Identifier: MIT
"""The store: nothing damaged is handed out, nothing half written has a name, and processes may share it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from builder.cache.store import Store
from builder.errors import TrustError
from builder.system.locks import locked
from tests.conftest import ROOT

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OTHER_FILESYSTEM = Path("/dev/shm")


def write(path: Path, content: bytes = CONTENT) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def object_path(tmp_path: Path, digest: str = DIGEST) -> Path:
    return tmp_path / "store/objects" / digest[:2] / digest


def test_a_file_goes_in_and_comes_out(store: Store, tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    assert store.add(source) == DIGEST
    assert not source.exists()
    assert store.has(DIGEST)
    assert store.link(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert (tmp_path / "out").stat().st_nlink == 2


def test_what_is_not_there_is_not_placed(store: Store, tmp_path: Path) -> None:
    assert not store.has(DIGEST)
    assert not store.link(DIGEST, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_digest_than_wanted(store: Store, tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    with pytest.raises(TrustError, match=f"has sha256 {DIGEST}; expected 00"):
        store.add(source, "00")
    assert store.entries() == []


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[:-1] + b"x", b""])
def test_a_damaged_object_is_dropped(
    store: Store, tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    store.add(write(tmp_path / "source"))
    object_path(tmp_path).write_bytes(damage)
    assert not store.link(DIGEST, tmp_path / "out")
    assert "is damaged" in capsys.readouterr().err
    assert not store.has(DIGEST)
    store.add(write(tmp_path / "source"))
    assert store.link(DIGEST, tmp_path / "out")


@pytest.mark.skipif(not OTHER_FILESYSTEM.is_dir(), reason="there is no second filesystem")
def test_between_two_filesystems_it_is_copied(tmp_path: Path) -> None:
    directory = OTHER_FILESYSTEM / f"boardwright-{os.getpid()}"
    directory.mkdir()
    try:
        assert directory.stat().st_dev != tmp_path.stat().st_dev
        store = Store(directory / "store")
        source = write(tmp_path / "source")
        store.add(source)
        assert not source.exists()
        assert store.link(DIGEST, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == CONTENT
        assert list((directory / "store/parts").iterdir()) == []
    finally:
        subprocess.run(["rm", "-r", directory], check=True)


def test_use_is_noted_and_the_oldest_comes_first(store: Store, tmp_path: Path) -> None:
    digests = [store.add(write(tmp_path / name, name.encode())) for name in ("a", "b", "c")]
    for age, digest in enumerate(reversed(digests)):
        os.utime(object_path(tmp_path, digest), (1000 - age, 1000 - age))
    assert [entry.sha256 for entry in store.entries()] == digests
    store.link(digests[0], tmp_path / "out")
    assert [entry.sha256 for entry in store.entries()] == [*digests[1:], digests[0]]
    assert store.entries()[-1].used > time.time() - 60


def test_who_has_a_link_keeps_the_file(store: Store, tmp_path: Path) -> None:
    store.add(write(tmp_path / "source"))
    store.link(DIGEST, tmp_path / "out")
    store.drop(DIGEST)
    store.drop(DIGEST)
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert store.entries() == []


def test_names(store: Store, tmp_path: Path) -> None:
    store.add(write(tmp_path / "source"))
    name = "deb/../a_1%3a2_all.deb"
    store.set_ref(name, DIGEST, {"version": "1:2"})
    ref = store.find_ref(name)
    assert ref
    assert (ref.name, ref.sha256, ref.facts) == (name, DIGEST, {"version": "1:2"})
    assert store.refs() == [ref]
    assert store.find_ref("other") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": "0", "facts": 1}'])
def test_a_name_that_cannot_be_read_is_dropped(store: Store, tmp_path: Path, text: str) -> None:
    store.set_ref("a", DIGEST, {})
    path = tmp_path / "store/refs/a.json"
    path.write_text(text)
    assert store.find_ref("a") is None
    assert not path.exists()


def test_tidying_removes_names_of_nothing(store: Store, tmp_path: Path) -> None:
    store.add(write(tmp_path / "source"))
    store.set_ref("here", DIGEST, {})
    store.set_ref("gone", "0" * 64, {})
    store.clean()
    assert [ref.name for ref in store.refs()] == ["here"]


WRITER = """
import sys, time
from pathlib import Path
from builder.cache.store import Store
with Store(Path(sys.argv[1]))._part() as (part, stream):
    stream.write(b"half")
    stream.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_goes_and_a_living_ones_stays(store: Store, tmp_path: Path) -> None:
    parts = tmp_path / "store/parts"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path / "store"], cwd=ROOT, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        store.clean()
        assert len(list(parts.iterdir())) == 1
        writer.send_signal(signal.SIGKILL)
    assert len(list(parts.iterdir())) == 1
    store.clean()
    assert list(parts.iterdir()) == []
    assert store.entries() == []


def _use(place: Path, number: int) -> int:
    """Put the same objects in, take them out, drop them: all at once with others that do the same."""
    store, good = Store(place / "store"), 0
    for turn in range(30):
        content = str(turn % 3).encode() * 100_000
        digest = store.add(write(place / f"in-{number}", content))
        out = place / f"out-{number}-{turn}"
        if store.link(digest, out):
            good += out.read_bytes() == content
        else:
            good += 1  # Dropped by another.
        if turn % 5 == 0:
            store.drop(digest)
            store.clean()
    return good


def test_processes_share_it(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        assert list(pool.map(_use, [tmp_path] * 4, range(4))) == [30] * 4
    for entry in Store(tmp_path / "store").entries():
        assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256


def test_the_second_waits_for_the_lock(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from builder.system.locks import locked\n"
        "with locked(Path(sys.argv[1])): pass"
    )
    with locked(tmp_path / "lock"):
        second = subprocess.Popen([sys.executable, "-c", program, tmp_path / "lock"], cwd=ROOT)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(1)
    assert second.wait(10) == 0
