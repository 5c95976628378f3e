# SPDX-License-Identifier: MIT
"""Download files by digest into a cache directory.

`fetch` returns CACHE/<sha256>, `fetch_key` CACHE/<fingerprint>.gpg. A file under such a name is complete and has the
right content. It is written to a temporary file, hashed while it streams, synced and renamed, and hashed again before
every later use. Several processes may share the cache; if two need the same file, the second waits for the first.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

from builder import log
from builder.errors import DownloadError, TrustError, disk_full_as_space_error
from builder.net import http
from builder.net.http import bare
from builder.net.retry import retry
from builder.system.atomic import give_name
from builder.system.checksums import sha256_file
from builder.system.files import open_unfinished
from builder.system.locks import is_still_at, lock_named
from builder.system.process import run
from builder.units import GIB, MIB, render_size

HINTS = http.HINTS | {
    404: "the file was moved or withdrawn; look into its directory on the server and change the URL in the recipe",
}
FILE_BYTES = 4 * GIB
"""No package and no blob is larger."""
KEY_BYTES = MIB
"""Nor a key: those of Debian's archives have 10 to 50 KiB, with their signatures."""
KEY_FAULTS = {"e": "expired", "r": "revoked", "i": "invalid"}
"""Validities of a key in gpg's output that APT refuses."""


def fetch(url: str, *, sha256: str | None, cache: Path) -> Path:
    """Return the file with this digest, from the cache or from `url` (http or https).

    Raises TrustError (no digest given, or another one found), DownloadError (unreachable, refused, not there) and
    SpaceError.
    """
    if sha256 is None:
        raise TrustError(f"{bare(url)} has no sha256", hint="add its sha256; every download needs one")
    target = cache / sha256
    if _is_intact(target, sha256):
        return target
    with disk_full_as_space_error(target), _partial(cache / f".{sha256}.partial") as stream:
        if _is_intact(target, sha256):
            return target  # Another process fetched it while this one waited.
        digest = _download(url, stream, limit=FILE_BYTES)
        if digest != sha256:
            raise TrustError(
                f"{bare(url)} has sha256 {digest}; expected {sha256}",
                hint="find out why it changed before you change the digest in the recipe",
            )
        stream.flush()
        give_name(Path(stream.name), target)
    return target


def fetch_key(url: str, fingerprint: str, cache: Path) -> Path:
    """Return a binary OpenPGP keyring that holds exactly the key with this full fingerprint (spaces allowed).

    The key comes from the cache, or from `url`, armoured or not. The result suits APT's Signed-By.
    Raises TrustError (another key, more than one, no key at all), DownloadError and SpaceError.
    """
    key_id = fingerprint.replace(" ", "").upper()
    target = cache / f"{key_id}.gpg"
    if target.exists() and _primary_keys(target) == [key_id]:
        return target
    with disk_full_as_space_error(target), _partial(cache / f".{key_id}.partial") as stream:
        _download(url, stream, limit=KEY_BYTES)
        _remove_armour(stream)
        keys = _primary_keys(Path(stream.name))
        if keys != [key_id]:
            raise TrustError(
                f"{bare(url)} holds {' and '.join(keys) or 'no OpenPGP public key'}; expected only the key {key_id}",
                hint="compare the fingerprint with the one that the archive's owner publishes",
            )
        stream.flush()
        give_name(Path(stream.name), target)
    return target


def _is_intact(path: Path, sha256: str) -> bool:
    try:
        digest = sha256_file(path)
    except FileNotFoundError:
        return False
    if digest != sha256:
        log.warn(f"{path} is damaged (its sha256 is {digest}); it is fetched again")
        return False
    os.utime(path)  # The time of its last use, for the cache's size limit.
    return True


@contextmanager
def _partial(path: Path) -> Iterator[IO[bytes]]:
    """Yield the unfinished file, locked by this process; it may have content of a killed process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as stream:
        try:
            yield stream
        finally:
            if is_still_at(stream, path):
                path.unlink()


def _locked(path: Path) -> IO[bytes]:
    while True:
        stream = open_unfinished(path)
        if lock_named(stream, path):
            return stream
        stream.close()  # Renamed or removed by the process that held it until now: this is no longer the partial file.


def _download(url: str, stream: IO[bytes], *, limit: int) -> str:
    """Fill the file and return its sha256; DownloadError if the body is longer than `limit` bytes."""
    return retry(http.RETRIES, bare(url), lambda: _attempt(url, stream, limit))


def _attempt(url: str, stream: IO[bytes], limit: int) -> str:
    stream.truncate(0)
    digest, received = hashlib.sha256(), 0
    with (
        http.open_url(url, hints=HINTS) as answer,
        http.open_progress(url, http.length_of(answer)) as progress,
    ):
        for piece in http.pieces(answer):
            received += len(piece)
            if received > limit:
                raise DownloadError(f"{bare(url)} is larger than {render_size(limit)}", hint=http.LOOK)
            digest.update(piece)
            stream.write(piece)
            progress.update(len(piece))
    stream.flush()
    return digest.hexdigest()


def _remove_armour(stream: IO[bytes]) -> None:
    stream.seek(0)
    if re.search(rb"^-----BEGIN PGP", stream.read(), re.MULTILINE) is None:
        return
    plain = Path(f"{stream.name}.plain")
    try:
        run([*_gpg(Path(stream.name)), "--yes", "--output", plain, "--dearmor", stream.name], ok=(0, 2))
        content = plain.read_bytes() if plain.exists() else b""
    finally:
        plain.unlink(missing_ok=True)
    stream.truncate(0)
    stream.write(content)
    stream.flush()


def _primary_keys(path: Path) -> list[str]:
    """Return the fingerprints of the primary keys in a file, with the fault before one that APT would refuse.

    The records of --with-colons are described in GnuPG's doc/DETAILS: an fpr belongs to the pub or sub before it.
    """
    shown = run([*_gpg(path), "--with-colons", "--show-keys", path], ok=(0, 2))
    records = [line.split(":") for line in shown.stdout.splitlines()]
    keys = []
    for above, record in pairwise(records):
        if record[0] == "fpr" and above[0] in ("pub", "sec"):
            fault = "secret" if above[0] == "sec" else KEY_FAULTS.get(above[1])
            keys.append(f"the {fault} key {record[9]}" if fault else record[9])
    return keys


def _gpg(path: Path) -> list[str | Path]:
    """gpg with a home of its own in the cache: the user's keys and options are not used."""
    home = path.parent / ".gnupg"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return ["gpg", "--homedir", home, "--batch", "--no-options", "--no-autostart"]
