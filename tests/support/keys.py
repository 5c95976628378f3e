# SPDX-License-Identifier: MIT
"""Keys that are made for a test, of minisign and of OpenPGP, and what is signed with them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.system.process import run


class MinisignKey:
    """A key pair of the minisign program."""

    def __init__(self, directory: Path, name: str, *, password: bytes = b"") -> None:
        self.public = directory / f"{name}.pub"
        self.secret = directory / f"{name}.key"
        argv = ["minisign", "-G", *([] if password else ["-W"]), "-p", str(self.public), "-s", str(self.secret)]
        subprocess.run(argv, check=True, capture_output=True, input=(password + b"\n") * 2)

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


@dataclass(frozen=True)
class OpenPgpKey:
    """An OpenPGP key with a home of its own."""

    home: Path
    fingerprint: str

    def write_public(self, path: Path) -> Path:
        """Write the armoured public key."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._gpg("--armor", "--export", self.fingerprint))
        return path

    def sign(self, text: str) -> str:
        """Return the text with its signature around it, as in InRelease."""
        return self._gpg("--local-user", self.fingerprint, "--clearsign", stdin=text.encode())

    def _gpg(self, *words: str, stdin: bytes | None = None) -> str:
        return run(["gpg", "--homedir", self.home, "--batch", *words], stdin=stdin).stdout


@contextmanager
def make_openpgp_key(name: str) -> Iterator[OpenPgpKey]:
    """Make a key; its agent and its home go with the block. The path is short: it holds the agent's socket."""
    home = Path(tempfile.mkdtemp(prefix="bw-gpg."))
    gpg = ["gpg", "--homedir", str(home), "--batch"]
    try:
        run([*gpg, "--passphrase", "", "--quick-gen-key", f"{name} <{name}@localhost>", "rsa3072", "sign", "never"])
        rows = run([*gpg, "--with-colons", "--list-keys"]).stdout.splitlines()
        yield OpenPgpKey(home, next(row.split(":")[9] for row in rows if row.startswith("fpr")))
    finally:
        run(["gpgconf", "--homedir", home, "--kill", "all"])
        shutil.rmtree(home, ignore_errors=True)
