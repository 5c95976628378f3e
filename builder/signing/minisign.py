# SPDX-License-Identifier: MIT
"""Signatures by minisign: one Ed25519 key, one line of base64 to publish (jedisct1.github.io/minisign).

The secret key is never in an argument, in the environment of another process or in a file. minisign reads it from a
memory file of this process, through /proc, and the password from stdin. The trusted comment has no time, so the same
file and key give the same signature. signature.py checks signatures, without the program minisign.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builder.errors import TrustError
from builder.signing.keys import SecretKey
from builder.system.process import run


def sign(files: Sequence[Path], key: SecretKey, *, comment: str) -> None:
    """Write FILE.minisig beside each file; TrustError if the key or its password is wrong."""
    with _in_memory(_complete(key.content)) as path:
        # One call for all files: opening a key with a password takes a second.
        argv = ["minisign", "-S", "-H", "-s", str(path), "-c", "signature", "-t", comment, "-m", *map(str, files)]
        result = run(argv, stdin=key.password + b"\n", ok=range(256))
    if result.code:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise TrustError(
            f"minisign cannot sign with the key: {lines[-1] if lines else 'it printed no message'}",
            hint="BOARDWRIGHT_MINISIGN_KEY holds the secret key, BOARDWRIGHT_MINISIGN_PASSWORD its password",
        )


def _complete(content: bytes) -> bytes:
    """Return a key file: some secret stores keep one line only, and minisign wants a comment before it."""
    text = content.strip()
    return (text if b"\n" in text else b"untrusted comment: key\n" + text) + b"\n"


@contextmanager
def _in_memory(content: bytes) -> Iterator[Path]:
    """Yield the path of a file in memory, which is removed at the end of the block (memfd_create(2))."""
    handle = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(handle, content)
        yield Path(f"/proc/{os.getpid()}/fd/{handle}")
    finally:
        os.close(handle)
