# SPDX-License-Identifier: MIT
"""Signatures: minisign and gpg themselves accept ours, and no other process sees a key."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from builder.errors import TrustError
from builder.packaging.check import check_release
from builder.signing import gpg, minisign
from builder.signing.keys import SecretKey, find_key
from builder.signing.signature import find_fault, find_signer, load_public_key
from tests.support.keys import MinisignKey

pytestmark = pytest.mark.machine
PASSWORD = b"correct horse"


def tool(*words: str | Path, stdin: bytes = b"") -> str:
    return subprocess.run([*map(str, words)], input=stdin, check=True, capture_output=True).stdout.decode()


@dataclass(frozen=True)
class Pair:
    """A key of minisign."""

    secret: SecretKey
    public: str
    public_file: Path


def make_pair(place: Path, *, password: bytes = b"") -> Pair:
    key = MinisignKey(place, "minisign", password=password)
    return Pair(SecretKey(key.secret.read_bytes(), password), key.public.read_text(), key.public)


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A key with a password, which takes minisign seconds to open."""
    return make_pair(tmp_path_factory.mktemp("locked"), password=PASSWORD)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("minisign"))


@dataclass(frozen=True)
class Gpg:
    """A key of GnuPG, and the home of the gpg that checks with it."""

    secret: SecretKey
    public: str
    home: Path


@pytest.fixture(scope="session")
def gpg_key(tmp_path_factory: pytest.TempPathFactory) -> Gpg:
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    words = ("gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "correct horse")
    tool(*words, "--quick-generate-key", "Lighthouse <x@example.org>", "ed25519", "sign", "never")
    secret = tool(*words, "--armor", "--export-secret-keys").encode()
    public = tool(*words, "--armor", "--export")
    tool("gpgconf", "--homedir", home, "--kill", "all")
    return Gpg(SecretKey(secret, PASSWORD), public, home)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "SHA256SUMS"
    path.write_text("what is signed\n")
    return path


def test_minisign_accepts_our_signature(file: Path, pair: Pair) -> None:
    minisign.sign([file], pair.secret, comment="boardwright-x-1")
    output = tool("minisign", "-V", "-p", pair.public_file, "-m", file)
    assert "Trusted comment: boardwright-x-1\n" in output
    signature = file.with_name("SHA256SUMS.minisig")
    public = load_public_key(pair.public)
    assert find_fault(file, signature, public) == ""
    assert find_signer(signature.read_text()) == public.name
    assert pair.public.splitlines()[0].endswith(f" {public.name}"), "minisign shows the same id"


def test_the_same_file_and_key_give_the_same_signature(file: Path, pair: Pair) -> None:
    signatures = set()
    for _ in range(2):
        minisign.sign([file], pair.secret, comment="x")
        signatures.add(file.with_name("SHA256SUMS.minisig").read_bytes())
    assert len(signatures) == 1


def test_a_key_without_its_comment_is_taken(file: Path, pair: Pair) -> None:
    minisign.sign([file], SecretKey(pair.secret.content.splitlines()[1]), comment="x")
    assert file.with_name("SHA256SUMS.minisig").exists()


@pytest.mark.parametrize(
    ("content", "password"), [(None, b"wrong"), (b"garbage", b""), (b"untrusted comment: x\nAAAA\n", b"")]
)
def test_a_wrong_key_is_said_without_showing_it(
    file: Path, locked: Pair, content: bytes | None, password: bytes
) -> None:
    key = SecretKey(content or locked.secret.content, password)
    with pytest.raises(TrustError, match="minisign cannot sign") as caught:
        minisign.sign([file], key, comment="x")
    assert "BOARDWRIGHT_MINISIGN_PASSWORD" in caught.value.hint
    assert (content or locked.secret.content).split()[-1].decode() not in str(caught.value)
    assert "wrong" not in repr(key)
    assert not file.with_name("SHA256SUMS.minisig").exists()


def test_a_changed_file_or_another_key_is_refused(file: Path, pair: Pair, tmp_path: Path) -> None:
    minisign.sign([file], pair.secret, comment="x")
    signature, public = file.with_name("SHA256SUMS.minisig"), load_public_key(pair.public)
    other = MinisignKey(tmp_path, "other")
    assert find_fault(file, signature, load_public_key(other.public.read_text()))
    file.write_text("what was not signed\n")
    assert find_fault(file, signature, public)


@pytest.mark.parametrize("text", ["", "AAAA", "two\nlines", "untrusted comment: x\n", "!"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(TrustError, match="not a minisign public key or a file with one"):
        load_public_key(text)
    assert find_signer(text) == ""


SPY = """\
#!/bin/sh
tr "\\0" "\\n" </proc/self/environ >>"$0.seen"
echo "$@" >>"$0.seen"
exec /usr/bin/minisign "$@"
"""


def test_a_key_is_in_no_argument_environment_or_file(file: Path, locked: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDWRIGHT_MINISIGN_KEY", locked.secret.content.decode())
    monkeypatch.setenv("BOARDWRIGHT_MINISIGN_PASSWORD", PASSWORD.decode())
    spy = file.parent / "bin/minisign"
    spy.parent.mkdir()
    spy.write_text(SPY)
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    key = find_key("BOARDWRIGHT_MINISIGN_KEY", None, "BOARDWRIGHT_MINISIGN_PASSWORD")
    assert key is not None
    minisign.sign([file], key, comment="x")
    seen = spy.with_name("minisign.seen").read_text()
    assert "SHA256SUMS" in seen
    for secret in (locked.secret.content.split()[-1].decode(), PASSWORD.decode()):
        assert secret not in seen
        assert not [path for path in file.parent.rglob("*") if path.is_file() and secret in path.read_text()]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of this test's own where gpg's homes are made: short, because gpg makes sockets there."""
    with TemporaryDirectory(prefix="bw-", dir=gpg.MEMORY) as directory:
        monkeypatch.setattr(gpg, "MEMORY", Path(directory))
        yield Path(directory)


def test_gpg_accepts_our_signature_and_nothing_of_it_stays(file: Path, gpg_key: Gpg, memory: Path) -> None:
    gpg.sign([file], gpg_key.secret)
    tool("gpg", "--homedir", gpg_key.home, "--batch", "--verify", f"{file}.asc", file)
    assert gpg.verify(file, file.with_name("SHA256SUMS.asc"), gpg_key.public) == ""
    file.write_text("other")
    assert "BAD signature" in gpg.verify(file, file.with_name("SHA256SUMS.asc"), gpg_key.public)
    assert list(memory.iterdir()) == []
    assert_no_agent(memory)


def assert_no_agent(memory: Path) -> None:
    """An agent that was asked to end does so soon."""
    deadline = time.monotonic() + 60
    while found := [path for path in Path("/proc").glob("[0-9]*/cmdline") if bytes(memory) in read(path)]:
        assert time.monotonic() < deadline, found
        threading.Event().wait(0.02)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(("content", "password"), [(None, b"wrong"), (b"garbage", b"")])
def test_a_wrong_gpg_key_is_said(
    file: Path, gpg_key: Gpg, memory: Path, content: bytes | None, password: bytes
) -> None:
    with pytest.raises(TrustError, match="gpg cannot") as caught:
        gpg.sign([file], SecretKey(content or gpg_key.secret.content, password))
    assert "BOARDWRIGHT_GPG_KEY" in caught.value.hint
    assert_no_agent(memory)


def test_keys_come_from_a_descriptor_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEY", raising=False)
    monkeypatch.setenv("PASSWORD", "p")
    assert find_key("KEY", None, "PASSWORD") is None
    monkeypatch.setenv("KEY", "from the environment")
    read_end, write_end = os.pipe()
    os.write(write_end, b"from a descriptor")
    os.close(write_end)
    assert find_key("KEY", read_end, "PASSWORD") == SecretKey(b"from a descriptor", b"p")
    assert find_key("KEY", None, "PASSWORD") == SecretKey(b"from the environment", b"p")
    with pytest.raises(TrustError, match="cannot be read") as caught:
        find_key("KEY", 12345, "PASSWORD")
    assert "3<" in caught.value.hint
    monkeypatch.setenv("KEY", " \n")
    with pytest.raises(TrustError, match="is empty"):
        find_key("KEY", None, "PASSWORD")


@pytest.mark.parametrize("kind", ["packed", "long", "link out"])
def test_a_signature_has_an_end(
    file: Path, gpg_key: Gpg, memory: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = file.with_name("SHA256SUMS.asc")
    signature.unlink(missing_ok=True)
    if kind == "packed":  # 200 bytes that are 100 MiB.
        words = ("gpg", "--homedir", gpg_key.home, "--batch", "--store", "--compress-algo", "bzip2")
        tool(*words, "--output", signature, stdin=bytes(100 << 20))
        monkeypatch.setattr(gpg, "VERIFY_S", 0.1)
    elif kind == "long":
        signature.write_bytes(bytes(gpg.LONGEST + 1))
    else:
        signature.symlink_to("/etc/hostname")
    reasons = {"packed": "still running", "long": "more than 64 KiB", "link out": "leads out of"}
    assert reasons[kind] in gpg.verify(file, signature, gpg_key.public)
    assert list(memory.iterdir()) == []


def test_a_package_is_checked_with_a_key_of_gpg(spoilt: Path, gpg_key: Gpg) -> None:
    files = [next(spoilt.glob(f"*.{end}")) for end in ("provenance.json", "SHA256SUMS", "manifest.json")]
    unsigned = check_release(spoilt, gpg_key.public)
    assert [problem.text for problem in unsigned.problems] == ["it is not signed"] * 3
    gpg.sign(files[2:], gpg_key.secret)
    found = check_release(spoilt, gpg_key.public)
    assert [problem.name for problem in found.problems] == [file.name for file in files[:2]]
    assert "a key of GnuPG" in found.signers
    with pytest.raises(TrustError, match="cannot take the public key"):
        check_release(spoilt, gpg.PUBLIC_KEY)
