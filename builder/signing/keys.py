# SPDX-License-Identifier: MIT
"""Secret keys, read from the environment or an open file descriptor; never from a file name or an argument."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from builder.errors import TrustError


@dataclass(frozen=True)
class SecretKey:
    """A secret key and its password. Neither shows in a message or a traceback."""

    content: bytes = field(repr=False)
    password: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Signers:
    """The keys to sign with; None for a kind of signature that is not made."""

    minisign: SecretKey | None = None
    gpg: SecretKey | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of signatures that are made."""
        return tuple(name for name, key in (("minisign", self.minisign), ("gpg", self.gpg)) if key)


def find_key(variable: str, descriptor: int | None, password_variable: str) -> SecretKey | None:
    """Return the key from an open file descriptor, else from the environment; None if neither is given.

    Raises TrustError if the descriptor cannot be read or the key is empty.
    """
    if descriptor is not None:
        content = _read(descriptor)
    elif variable in os.environ:
        content = os.environ[variable].encode()
    else:
        return None
    if not content.strip():
        raise TrustError(
            f"the key is empty: {variable}, or the given file descriptor", hint="leave it out to sign nothing"
        )
    return SecretKey(content, os.environ.get(password_variable, "").encode())


def _read(descriptor: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise TrustError(
            f"file descriptor {descriptor} cannot be read: {error.strerror}",
            hint="open one for us: boardwright package … --minisign-key-fd 3 3< KEY",
        ) from None
