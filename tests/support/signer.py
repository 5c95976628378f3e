# SPDX-License-Identifier: MIT
"""A key of the minisign program, made for a test, and what is signed with it."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Signer:
    """A key pair without a password."""

    def __init__(self, directory: Path, name: str) -> None:
        self.public = directory / f"{name}.pub"
        self.secret = directory / f"{name}.key"
        subprocess.run(
            ["minisign", "-G", "-W", "-p", self.public, "-s", self.secret], check=True, capture_output=True, input=b""
        )

    @property
    def public_text(self) -> str:
        """The key as `minisign -P` takes it."""
        return self.public.read_text(encoding="utf-8").splitlines()[1]

    def sign(self, path: Path, *words: str) -> Path:
        """Sign a file as the program does it by default, and return the signature's file."""
        # A `file:` in the trusted comment is the name as it was given.
        subprocess.run(
            ["minisign", "-S", "-s", self.secret, "-m", path.name, *words],
            check=True,
            capture_output=True,
            cwd=path.parent,
        )
        return Path(f"{path}.minisig")
