# SPDX-License-Identifier: MIT
"""Signatures that the minisign program makes, and every way to spoil them; and keys that are none."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from builder.errors import TrustError
from builder.signing.signature import PublicKey, check_file_name, load_public_key, verify_signature
from tests.support.keys import MinisignKey

pytestmark = pytest.mark.machine

CONTENT = b"0123  boardwright-rpi-1.0.img.xz\n"


@pytest.fixture
def signed(tmp_path: Path, signer: MinisignKey) -> Path:
    path = tmp_path / "boardwright-rpi-1.0.SHA256SUMS"
    path.write_bytes(CONTENT)
    signer.sign(path)
    return path


def signature_of(path: Path) -> str:
    return Path(f"{path}.minisig").read_text(encoding="utf-8")


def change(text: str, line: int, place: int) -> str:
    """Return a signature with one bit of one of its base64 lines turned over."""
    lines = text.splitlines()
    data = bytearray(base64.b64decode(lines[line]))
    data[place] ^= 1
    lines[line] = base64.b64encode(data).decode()
    return "\n".join(lines) + "\n"


def test_what_minisign_signed_is_good(signed: Path, signer: MinisignKey) -> None:
    key = load_public_key(str(signer.public))
    for data in (CONTENT, signed):
        comment = verify_signature(data, signature_of(signed), key)
        assert comment.file == signed.name
        assert "timestamp:" in comment.trusted
    assert key.name in signer.public.read_text(encoding="utf-8"), "minisign writes the key id the same way"


def test_a_large_file_of_zeros_is_good(tmp_path: Path, signer: MinisignKey) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(5_000_000))
    signer.sign(path)
    assert verify_signature(path, signature_of(path), load_public_key(signer.public_text)).file == "large"


def test_what_we_call_good_minisign_calls_good(signed: Path, signer: MinisignKey) -> None:
    key = load_public_key(str(signer.public))
    subprocess.run(["minisign", "-V", "-q", "-P", key.text, "-m", signed], check=True)


def test_a_key_is_taken_as_file_as_text_and_as_one_line(signer: MinisignKey) -> None:
    keys = {
        load_public_key(given)
        for given in (str(signer.public), signer.public.read_text(encoding="utf-8"), signer.public_text)
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nowhere.pub",
        "RWQ=",
        "not base64 at all",
        "RWQ\nRWQ\n",
        "untrusted comment: only this\n",
        "R" * 5000,
        "/tmp",
    ],
)
def test_what_is_no_key_is_refused(given: str) -> None:
    with pytest.raises(TrustError, match="not a minisign public key or a file with one") as caught:
        load_public_key(given)
    assert "minisign -G" in caught.value.hint


def test_a_secret_key_is_no_public_key(signer: MinisignKey, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="is not a minisign public key or a file with one"):
        load_public_key(str(signer.secret))
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(TrustError, match="is not a minisign public key or a file with one"):
        load_public_key(str(tmp_path / "binary"))


@pytest.mark.parametrize(
    ("line", "place", "fault"),
    [
        (1, 0, "of the kind DD; expected ED"),
        (1, 1, "of the kind EE; expected ED"),
        (1, 2, "signed by the key"),
        (1, 9, "signed by the key"),
        (1, 10, "not of this file, or not by this key"),
        (1, 73, "not of this file, or not by this key"),
        (3, 0, "trusted comment was changed"),
        (3, 63, "trusted comment was changed"),
    ],
)
def test_every_part_of_a_signature_counts(signed: Path, signer: MinisignKey, line: int, place: int, fault: str) -> None:
    spoilt = change(signature_of(signed), line, place)
    with pytest.raises(TrustError, match=fault):
        verify_signature(CONTENT, spoilt, load_public_key(signer.public_text))
    Path(f"{signed}.minisig").write_text(spoilt, encoding="utf-8")
    refused = subprocess.run(
        ["minisign", "-V", "-q", "-p", signer.public, "-m", signed], check=False, capture_output=True
    )
    assert refused.returncode != 0, "minisign says so too"


def test_the_trusted_comment_counts(signed: Path, signer: MinisignKey) -> None:
    spoilt = signature_of(signed).replace("file:boardwright-rpi-", "file:boardwright-pi5-")
    with pytest.raises(TrustError, match="trusted comment was changed"):
        verify_signature(CONTENT, spoilt, load_public_key(signer.public_text))


def test_the_untrusted_comment_does_not(signed: Path, signer: MinisignKey) -> None:
    text = signature_of(signed).replace("signature from minisign secret key", "anything")
    assert verify_signature(CONTENT, text, load_public_key(signer.public_text)).untrusted == "anything"


def test_another_file_is_refused(signed: Path, signer: MinisignKey) -> None:
    with pytest.raises(TrustError, match="not of this file"):
        verify_signature(CONTENT + b" ", signature_of(signed), load_public_key(signer.public_text))


def test_another_key_is_refused_by_its_name(signed: Path, signer: MinisignKey, other_signer: MinisignKey) -> None:
    ours, theirs = load_public_key(signer.public_text), load_public_key(other_signer.public_text)
    with pytest.raises(TrustError, match=f"signed by the key {ours.name}; expected {theirs.name}"):
        verify_signature(CONTENT, signature_of(signed), theirs)


def test_a_key_that_borrows_the_id_is_refused(signed: Path, signer: MinisignKey, other_signer: MinisignKey) -> None:
    ours, theirs = load_public_key(signer.public_text), load_public_key(other_signer.public_text)
    with pytest.raises(TrustError, match="not by this key"):
        verify_signature(CONTENT, signature_of(signed), PublicKey(ours.key_id, theirs.key))


def test_the_older_kind_of_signature_is_refused(signed: Path, signer: MinisignKey) -> None:
    signer.sign(signed, "-l")
    with pytest.raises(TrustError, match="of the kind Ed; expected ED"):
        verify_signature(CONTENT, signature_of(signed), load_public_key(signer.public_text))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not a minisign signature"),
        ("<html>captive portal</html>", "not a minisign signature"),
        ("a\nb\nc\nd\n", "not a minisign signature"),
        ("untrusted comment: x\nRUQ=\ntrusted comment: y\nRUQ=\n", "length"),
        ("untrusted comment: x\n***\ntrusted comment: y\n***\n", "length"),
    ],
)
def test_what_is_no_signature_is_refused(signer: MinisignKey, text: str, fault: str) -> None:
    with pytest.raises(TrustError, match=fault):
        verify_signature(CONTENT, text, load_public_key(signer.public_text))


def test_a_signature_belongs_to_the_name_of_its_file(signed: Path, signer: MinisignKey) -> None:
    comment = verify_signature(CONTENT, signature_of(signed), load_public_key(signer.public_text))
    check_file_name(comment, signed.name)
    with pytest.raises(TrustError, match="of evil was made of boardwright-rpi"):
        check_file_name(comment, "evil")


def test_a_comment_of_ones_own_says_nothing_about_the_name(signed: Path, signer: MinisignKey) -> None:
    signer.sign(signed, "-t", "the first release")
    comment = verify_signature(CONTENT, signature_of(signed), load_public_key(signer.public_text))
    assert (comment.trusted, comment.file) == ("the first release", "")
    check_file_name(comment, "anything")
