# SPDX-License-Identifier: MIT
"""Check minisign signatures without the program: fetching an image needs only Python.

The format, from minisign's own page (https://jedisct1.github.io/minisign, "Signature format"): base64 of

    public key        Ed, key id (8 bytes), Ed25519 key (32)
    signature         ED, key id (8), Ed25519 signature (64) of the BLAKE2b-512 of the file
    global signature  Ed25519 signature (64) of the 64 bytes of the first and the trusted comment

each below a line of comment. The older kind of signature, Ed, signs the file itself and not its hash. It is refused,
as by `minisign -V -H`: minisign makes the other one since 0.10.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from builder.errors import TrustError
from builder.system.files import InputError, read_bytes, read_text

SUFFIX = ".minisig"
LONGEST = 8 * 1024
"""Most bytes that are read of a signature or a key; a real one has about 300."""
UNTRUSTED = "untrusted comment: "
TRUSTED = "trusted comment: "
MAKE_AGAIN = "fetch it again; if the error stays, the publisher has to sign again"


@dataclass(frozen=True)
class PublicKey:
    """A public key to check signatures with."""

    key_id: bytes
    """8 bytes."""
    key: bytes
    """32 bytes."""

    @property
    def name(self) -> str:
        """The key id as minisign writes it."""
        return f"{int.from_bytes(self.key_id, 'little'):X}"

    @property
    def text(self) -> str:
        """The key in the form that minisign -P accepts."""
        return base64.b64encode(b"Ed" + self.key_id + self.key).decode()


@dataclass(frozen=True)
class Comment:
    """The two comments of a valid signature."""

    trusted: str
    """Covered by the global signature."""
    untrusted: str
    """Not signed: anyone can change it."""

    @property
    def file(self) -> str:
        """Name of the signed file; empty if the trusted comment has no `file:`."""
        match = re.search(r"(?:^|\t)file:([^\t]*)", self.trusted)
        return match[1] if match else ""


def load_public_key(name_or_text: str) -> PublicKey:
    """Return a key from the name of its file, from its text, or from the one line that `minisign -P` takes.

    Raises TrustError if it is not a minisign public key.
    """
    try:
        text = read_text(Path(name_or_text), limit=LONGEST) if _is_file(name_or_text) else name_or_text
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith(UNTRUSTED)]
        data = _decode(lines[0]) if len(lines) == 1 else b""
    except InputError:
        data = b""
    if len(data) != 2 + 8 + 32 or not data.startswith(b"Ed"):
        what = name_or_text if len(name_or_text) < 80 and "\n" not in name_or_text else "what was given"
        hint = "give the file that minisign -G wrote, or its second line, which starts with RW"
        raise TrustError(f"{what} is not a minisign public key or a file with one", hint=hint)
    return PublicKey(data[2:10], data[10:])


def verify_signature(data: bytes | Path, signature_text: str, public_key: PublicKey) -> Comment:
    """Return the comments of a signature that this key made of these bytes, or of this file.

    Raises TrustError if it is not a minisign signature, is by another key or of another file, or a comment was changed.
    """
    untrusted, first, trusted, last = _split(signature_text)
    whole, over_all = _decode(first), _decode(last)
    algorithm, key_id, signature = whole[:2], whole[2:10], whole[10:]
    if len(signature) != 64 or len(over_all) != 64:
        raise TrustError("the signature has the wrong length", hint=MAKE_AGAIN)
    if algorithm != b"ED":
        kind = algorithm.decode("ascii", "replace")
        raise TrustError(f"the signature is of the kind {kind}; expected ED", hint="sign with minisign 0.10 or newer")
    if key_id != public_key.key_id:
        signer = PublicKey(key_id, b"").name
        hint = "compare the key with the one that the publisher names in a second place"
        raise TrustError(f"it is signed by the key {signer}; expected {public_key.name}", hint=hint)
    _check(public_key, signature, _hash(data), "the signature is not of this file, or not by this key")
    _check(public_key, over_all, signature + trusted.encode(), "the trusted comment was changed after signing")
    return Comment(trusted, untrusted)


def check_file_name(comment: Comment, name: str) -> None:
    """Raise TrustError if the signature names another file: the two may have been exchanged.

    A trusted comment without `file:` is accepted; then the signed content has to identify the file.
    """
    if comment.file and comment.file != name:
        raise TrustError(f"the signature of {name} was made of {comment.file}", hint=MAKE_AGAIN)


def find_fault(file: Path, signature: Path, public_key: PublicKey) -> str:
    """Return the fault of a file's signature, or ""."""
    try:
        verify_signature(file, read_bytes(signature, limit=LONGEST).decode("utf-8", "replace"), public_key)
    except TrustError as error:
        return error.message
    return ""


def find_signer(signature_text: str) -> str:
    """Return the key id in a signature, as minisign writes it; "" if it is not a minisign signature."""
    try:
        _, first, _, _ = _split(signature_text)
    except TrustError:
        return ""
    return PublicKey(_decode(first)[2:10], b"").name if _decode(first)[:2] in (b"Ed", b"ED") else ""


def _is_file(text: str) -> bool:
    return len(text) < 4096 and "\n" not in text and Path(text).is_file()


def _split(text: str) -> tuple[str, str, str, str]:
    """Return untrusted comment, signature, trusted comment and global signature."""
    lines = text[:LONGEST].splitlines()
    if len(lines) != 4 or not lines[0].startswith(UNTRUSTED) or not lines[2].startswith(TRUSTED):
        raise TrustError("not a minisign signature; expected four lines, two of them comments", hint=MAKE_AGAIN)
    return lines[0][len(UNTRUSTED) :], lines[1], lines[2][len(TRUSTED) :], lines[3]


def _decode(line: str) -> bytes:
    try:
        return base64.b64decode(line.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _hash(data: bytes | Path) -> bytes:
    if isinstance(data, bytes):
        return hashlib.blake2b(data).digest()
    with data.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").digest()


def _check(public_key: PublicKey, signature: bytes, signed: bytes, fault: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key.key).verify(signature, signed)
    except InvalidSignature:
        raise TrustError(f"{fault} (key {public_key.name})", hint=MAKE_AGAIN) from None
