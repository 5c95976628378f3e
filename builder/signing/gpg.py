# SPDX-License-Identifier: MIT
"""Signatures by GnuPG, for those who have a key there already.

GnuPG keeps keys in a directory and an agent beside it. Ours is in memory where the machine has /dev/shm, lasts as
long as the block, and its agent ends before it goes.
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
"""The longest that is waited for one: a few bytes that are packed can be made to unpack for hours."""
HINT = "BOARDWRIGHT_GPG_KEY holds what `gpg --export-secret-keys --armor` says, BOARDWRIGHT_GPG_PASSWORD its password"


def sign(files: Sequence[Path], key: SecretKey) -> None:
    """Write FILE.asc beside each file; TrustError when the key or its password is wrong."""
    with _home() as home:
        _check(_gpg(home, "--import", stdin=key.content), "cannot take the key")
        for file in files:
            words = ["--pinentry-mode", "loopback", "--passphrase-fd", "0", "--yes", "--armor", "--detach-sign"]
            signed = _gpg(home, *words, "--output", f"{file}{SUFFIX}", str(file), stdin=key.password + b"\n")
            _check(signed, "cannot sign with the key")


def verify(file: Path, signature: Path, public_key: str) -> str:
    """Return what is wrong with the signature of a file, or nothing."""
    with _home() as home:
        _check(_gpg(home, "--import", stdin=public_key.encode()), "cannot take the public key")
        words = ("--verify", "-", str(file.absolute()))
        try:
            content = read_bytes(signature, limit=LONGEST, within=signature.parent)
            result = _gpg(home, *words, stdin=content, timeout_s=VERIFY_S)
        except (InputError, ToolError) as error:
            return error.message
    said = result.stderr.strip().splitlines()
    return (said[-1] if said else "gpg refuses it") if result.code else ""


def _gpg(home: Path, *words: str, stdin: bytes | None = None, timeout_s: float | None = None) -> Result:
    argv: list[str | Path] = ["gpg", "--homedir", home, "--batch", "--no-tty", "--quiet", *words]
    return run(argv, stdin=stdin, ok=range(256), timeout_s=timeout_s)


def _check(result: Result, what: str) -> None:
    if result.code:
        said = result.stderr.strip().splitlines()
        raise TrustError(f"gpg {what}: {said[-1] if said else 'it says nothing'}", hint=HINT)


@contextmanager
def _home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="boardwright-gpg-", dir=MEMORY if MEMORY.is_dir() else None) as directory:
        home = Path(directory)
        try:
            yield home
        finally:
            run(["gpgconf", "--homedir", home, "--kill", "all"], ok=range(256))
