# SPDX-License-Identifier: MIT
"""Signatures by minisign: one Ed25519 key, one line of base64 to publish (jedisct1.github.io/minisign).

The secret key is never in an argument, in the environment of another process or in a file: minisign reads it from a
piece of memory of ours, by its name below /proc, and the password from its stdin. The trusted comment has no time,
so the same file and key give the same signature.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builder.errors import TrustError
from builder.release.keys import SecretKey
from builder.run import run

SUFFIX = ".minisig"
ALGORITHMS = (b"Ed", b"ED")
"""Of a key, and of a file that is hashed first."""
PUBLIC_KEY_BYTES = 42
"""Algorithm, 8 bytes of id, 32 bytes of key."""


def sign(files: Sequence[Path], key: SecretKey, *, comment: str) -> None:
    """Write FILE.minisig beside each file; TrustError when the key or its password is wrong."""
    with _in_memory(_complete(key.content)) as path:
        # One call: each asks for the second that it takes to open a key with a password.
        argv = ["minisign", "-S", "-H", "-s", str(path), "-c", "signature", "-t", comment, "-m", *map(str, files)]
        result = run(argv, stdin=key.password + b"\n", ok=range(256))
    if result.code:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise TrustError(
            f"minisign cannot sign with the key: {said[-1] if said else 'it says nothing'}",
            hint="BOARDWRIGHT_MINISIGN_KEY holds the secret key, BOARDWRIGHT_MINISIGN_PASSWORD its password",
        )


def verify(file: Path, signature: Path, public_key: str) -> str:
    """Return what is wrong with the signature of a file, or nothing. The key is one from `read_public_key`."""
    result = run(["minisign", "-V", "-P", public_key, "-x", signature, "-m", file], ok=range(256))
    said = (result.stderr.strip() or result.stdout.strip()).splitlines()
    return (said[-1] if said else "minisign refuses it") if result.code else ""


def read_public_key(text: str) -> str:
    """Return the line of base64 that is the key in minisign.pub, or that line alone; TrustError for anything else."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("untrusted comment:")]
    raw = _decode(lines[0]) if len(lines) == 1 else b""
    if len(raw) != PUBLIC_KEY_BYTES or raw[:2] != ALGORITHMS[0]:
        raise TrustError(
            "the public key is no key of minisign", hint="name the file minisign.pub, or give its last line"
        )
    return lines[0]


def key_id(text: str) -> str:
    """Return the id of a public key or of the key that made a signature, as minisign shows it; empty for neither."""
    lines = [line for line in text.splitlines() if not line.startswith(("untrusted comment:", "trusted comment:"))]
    raw = _decode(lines[0]) if lines else b""
    is_one = raw[:2] in ALGORITHMS and len(raw) >= PUBLIC_KEY_BYTES
    return f"{int.from_bytes(raw[2:10], 'little'):X}" if is_one else ""


def _decode(line: str) -> bytes:
    try:
        return base64.b64decode(line.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _complete(content: bytes) -> bytes:
    """Return a key file: some secret stores keep one line only, and minisign wants a comment before it."""
    text = content.strip()
    return (text if b"\n" in text else b"untrusted comment: key\n" + text) + b"\n"


@contextmanager
def _in_memory(content: bytes) -> Iterator[Path]:
    """Yield the name of a file that is on no disk and gone with the block (memfd_create(2))."""
    handle = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(handle, content)
        yield Path(f"/proc/{os.getpid()}/fd/{handle}")
    finally:
        os.close(handle)
