# SPDX-License-Identifier: MIT
"""Detached GnuPG signatures, for publishers that already have a GnuPG key.

GnuPG keeps keys in a home directory and runs an agent for it. Our home directory is in /dev/shm if that exists. It is
removed at the end of the block, after its agent has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from builder.errors import ToolError, TrustError
from builder.signing.keys import SecretKey
from builder.system.files import InputError, read_bytes
from builder.system.process import Result, run

SUFFIX = ".asc"
PUBLIC_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of a name of its own is made there, for its owner alone
LONGEST = 64 * 1024
"""Bytes of a signature; an armoured one of a large key has about 1000."""
VERIFY_S = 60.0
"""Timeout of a check: a small compressed signature can be made to unpack for hours."""
HINT = (
    "BOARDWRIGHT_GPG_KEY holds the output of `gpg --export-secret-keys --armor`, BOARDWRIGHT_GPG_PASSWORD its password"
)


def sign(files: Sequence[Path], key: SecretKey) -> None:
    """Write FILE.asc beside each file; TrustError when the key or its password is wrong."""
    with _home() as home:
        _check(_gpg(home, "--import", stdin=key.content), "cannot take the key")
        for file in files:
            options = ["--pinentry-mode", "loopback", "--passphrase-fd", "0", "--yes", "--armor", "--detach-sign"]
            signed = _gpg(home, *options, "--output", f"{file}{SUFFIX}", str(file), stdin=key.password + b"\n")
            _check(signed, "cannot sign with the key")


def verify(file: Path, signature: Path, public_key: str) -> str:
    """Return the fault of a file's signature, or ""."""
    with _home() as home:
        _check(_gpg(home, "--import", stdin=public_key.encode()), "cannot take the public key")
        command = ("--verify", "-", str(file.absolute()))
        try:
            content = read_bytes(signature, limit=LONGEST, within=signature.parent)
            result = _gpg(home, *command, stdin=content, timeout_s=VERIFY_S)
        except (InputError, ToolError) as error:
            return error.message
    lines = result.stderr.strip().splitlines()
    return (lines[-1] if lines else "gpg refuses it") if result.code else ""


def _gpg(home: Path, *arguments: str, stdin: bytes | None = None, timeout_s: float | None = None) -> Result:
    argv: list[str | Path] = ["gpg", "--homedir", home, "--batch", "--no-tty", "--quiet", *arguments]
    return run(argv, stdin=stdin, ok=range(256), timeout_s=timeout_s)


def _check(result: Result, what: str) -> None:
    if result.code:
        lines = result.stderr.strip().splitlines()
        raise TrustError(f"gpg {what}: {lines[-1] if lines else 'it printed no message'}", hint=HINT)


@contextmanager
def _home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="boardwright-gpg-", dir=MEMORY if MEMORY.is_dir() else None) as directory:
        home = Path(directory)
        try:
            yield home
        finally:
            run(["gpgconf", "--homedir", home, "--kill", "all"], ok=range(256))
