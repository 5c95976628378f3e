# SPDX-License-Identifier: MIT
"""Check the checksums and signatures of a packaged image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.packaging.model import SUFFIX, PackagedImage
from builder.signing import gpg, signature
from builder.system.checksums import read_sums
from builder.system.files import read_bytes, read_text

SUMS = ".SHA256SUMS"
SIGNED = (".provenance.json", SUMS, SUFFIX)
"""Suffixes of signed files; the description has the digests of all other files."""

Wrong = tuple[str, str]
"""A file name and its problem."""


@dataclass(frozen=True)
class AnyPublicKey:
    """A public key of minisign or GnuPG."""

    text: str
    is_gpg: bool

    @classmethod
    def load(cls, text: str) -> AnyPublicKey:
        """Return the key in a text; raise TrustError if it has no key."""
        if text.strip().startswith(gpg.PUBLIC_KEY):
            return cls(text, True)
        return cls(signature.load_public_key(text).text, False)

    @property
    def suffix(self) -> str:
        """Suffix of file names of signatures."""
        return gpg.SUFFIX if self.is_gpg else signature.SUFFIX

    def find_fault(self, file: Path, signed: Path) -> str:
        """Return the problem of a signature, or ""."""
        if self.is_gpg:
            return gpg.verify(file, signed, self.text)
        return signature.find_fault(file, signed, signature.load_public_key(self.text))


def check_sums(directory: Path, package: PackagedImage) -> Iterator[Wrong]:
    """Compare the checksums with the description (check.py compares the description with the files)."""
    path = directory / f"{package.name}{SUMS}"
    if not path.is_file():
        yield path.name, "it is missing"
        return
    try:
        sums = read_sums(read_text(path, within=path.parent))
    except ValueError as error:
        yield path.name, str(error)
        return
    described = {file.name: file.sha256 for file in package.files if file.role not in ("sums", "signature")}
    for name in sorted(sums.keys() | described.keys()):
        if name not in sums:
            yield path.name, f"it has no checksum of {name}"
        elif name not in described:
            yield path.name, f"it has a checksum of {name}, which is not in the description"
        elif sums[name] != described[name]:
            yield path.name, f"its checksum of {name} differs from the description"


def check_signatures(
    directory: Path, package: PackagedImage, key: AnyPublicKey | None
) -> tuple[list[str], list[Wrong]]:
    """Return the claimed signers, and the problems of signatures if there is a key."""
    signers: list[str] = []
    wrong: list[Wrong] = []
    for file in (directory / f"{package.name}{suffix}" for suffix in SIGNED):
        for suffix in (signature.SUFFIX, gpg.SUFFIX):
            signed = file.with_name(file.name + suffix)
            if signed.is_file():
                signers.append(_name_signer(signed, suffix))
            if key and key.suffix == suffix and file.is_file():
                fault = key.find_fault(file, signed) if signed.is_file() else "it is not signed"
                wrong += [(file.name, fault)] if fault else []
    return list(dict.fromkeys(signers)), wrong


def _name_signer(signed: Path, suffix: str) -> str:
    if suffix == gpg.SUFFIX:
        return "a key of GnuPG"
    signer = signature.find_signer(read_bytes(signed, within=signed.parent).decode("utf-8", "replace"))
    return f"minisign key {signer or 'unknown'}"
