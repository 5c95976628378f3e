# SPDX-License-Identifier: MIT
"""Keys as they are handed to us: from the environment or an open file, never from a file's name or an argument."""

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
    """Who signs; None for who does not."""

    minisign: SecretKey | None = None
    gpg: SecretKey | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of signatures that are made."""
        return tuple(name for name, key in (("minisign", self.minisign), ("gpg", self.gpg)) if key)


def find_key(variable: str, descriptor: int | None, password_variable: str) -> SecretKey | None:
    """Return the key from an open file descriptor, else from the environment; None where there is neither.

    Raises TrustError when the descriptor cannot be read, or what is there is empty.
    """
    if descriptor is not None:
        content = _read(descriptor)
    elif variable in os.environ:
        content = os.environ[variable].encode()
    else:
        return None
    if not content.strip():
        raise TrustError(
            f"the key is empty: {variable}, or the file descriptor that was named", hint="leave it out to sign nothing"
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
