# SPDX-License-Identifier: MIT
"""Downloads, by digest, into a cache directory.

`fetch` returns CACHE/<sha256>, `fetch_key` CACHE/<fingerprint>.gpg. A file under such a name is complete and is
what was asked for: it is written beside its name, compared while it streams, synced, renamed, and hashed again
before every later use. Several processes may share the cache; of two that want one file, the second waits for
the first. A URL's user name, password and query never reach a message: they may be credentials.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import requests
import urllib3

from builder import log
from builder.errors import DownloadError, TrustError, disk_full_as_space_error
from builder.run import run

ATTEMPTS = 4
BACKOFF_S = 1.0
"""Pause before the second attempt; it triples with each further one."""
LONGEST_PAUSE_S = 60.0
TIMEOUT_S = (10.0, 60.0)
"""To connect, and between two pieces of an answer."""
PIECE = 256 * 1024
PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
HINTS = {
    401: "the server wants credentials",
    403: "the server wants credentials, or does not serve this place",
    404: "the file was moved or withdrawn; look what its directory holds now and change the URL in the recipe",
}
KEY_FAULTS = {"e": "expired", "r": "revoked", "i": "invalid"}
"""What gpg says of a key's validity, and APT refuses."""
HEADERS = {"User-Agent": "boardwright", "Accept-Encoding": "identity"}


class _PassingError(Exception):
    """What may be gone at the next attempt; `pause_s` is what the server asks for."""

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def fetch(url: str, *, sha256: str | None, cache: Path) -> Path:
    """Return the file with this digest, from the cache or from `url` (http or https).

    Raises TrustError (no digest given, or another one found), DownloadError (unreachable, refused, not there) and
    SpaceError.
    """
    if sha256 is None:
        raise TrustError(f"{bare(url)} has no sha256", hint="every download needs the digest it must have")
    target = cache / sha256
    if _is_intact(target, sha256):
        return target
    with disk_full_as_space_error(target), _partial(cache / f".{sha256}.partial") as stream:
        if _is_intact(target, sha256):
            return target  # Another process fetched it while this one waited.
        found = _download(url, stream)
        if found != sha256:
            raise TrustError(
                f"{bare(url)} has sha256 {found}, wanted is {sha256}",
                hint="find out why it changed before you change the digest in the recipe",
            )
        _publish(stream, target)
    return target


def fetch_key(url: str, fingerprint: str, cache: Path) -> Path:
    """Return a binary OpenPGP keyring that holds exactly the key with this full fingerprint (spaces allowed).

    The key comes from the cache, or from `url`, armoured or not. The result suits APT's Signed-By.
    Raises TrustError (another key, more than one, no key at all), DownloadError and SpaceError.
    """
    wanted = fingerprint.replace(" ", "").upper()
    target = cache / f"{wanted}.gpg"
    if target.exists() and _primary_keys(target) == [wanted]:
        return target
    with disk_full_as_space_error(target), _partial(cache / f".{wanted}.partial") as stream:
        _download(url, stream)
        _remove_armour(stream)
        found = _primary_keys(Path(stream.name))
        if found != [wanted]:
            raise TrustError(
                f"{bare(url)} holds {' and '.join(found) or 'no OpenPGP public key'}, wanted is the key {wanted} alone",
                hint="compare the fingerprint with the one that the archive's owner publishes",
            )
        _publish(stream, target)
    return target


def bare(url: str) -> str:
    """Return a URL without what may be secret: user name, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?…' if parts.query else ''}"


def _is_intact(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return False
    if found != sha256:
        log.warn(f"{path} is damaged (its sha256 is {found}); it is fetched again")
        return False
    os.utime(path)  # The time of its last use, for the cache's size limit.
    return True


@contextmanager
def _partial(path: Path) -> Iterator[IO[bytes]]:
    """Open the unfinished file for this process alone; a killed process may have left something in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as stream:
        try:
            yield stream
        finally:
            if _is_at(stream, path):
                path.unlink()


def _locked(path: Path) -> IO[bytes]:
    while True:
        stream = path.open("ab+")
        fcntl.flock(stream, fcntl.LOCK_EX)
        if _is_at(stream, path):
            return stream
        stream.close()  # Renamed or removed by the process that held it until now: this is no longer the partial file.


def _is_at(stream: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _publish(stream: IO[bytes], target: Path) -> None:
    """Give the complete file its name, so that a crash leaves either all of it there or nothing."""
    stream.flush()
    os.fsync(stream.fileno())
    Path(stream.name).replace(target)


def _download(url: str, stream: IO[bytes]) -> str:
    """Fill the file and return its sha256; what passes (busy server, broken connection) is tried again."""
    for attempt in range(ATTEMPTS):
        stream.truncate(0)
        try:
            return _attempt(url, stream)
        except _PassingError as error:
            reason, pause_s = error, max(BACKOFF_S * 3**attempt, min(error.pause_s, LONGEST_PAUSE_S))
        if attempt < ATTEMPTS - 1:
            log.note(f"{bare(url)}: {reason}; next attempt in {pause_s:.0f} s")
            time.sleep(pause_s)
    raise DownloadError(
        f"{bare(url)}: {reason}, {ATTEMPTS} times",
        hint="try again later; behind a proxy, set http_proxy and https_proxy",
    )


def _attempt(url: str, stream: IO[bytes]) -> str:
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_S, headers=HEADERS) as answer:
            _check_status(url, answer)
            return _receive(answer, stream, _show_progress(url, answer))
    except requests.exceptions.SSLError as error:
        raise DownloadError(
            f"{bare(url)}: its certificate was refused",
            hint="is the clock right, and ca-certificates installed? SSL_CERT_FILE names another bundle",
        ) from error
    except (requests.Timeout, requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        raise _PassingError(_root_reason(error)) from error
    except requests.exceptions.InvalidSchema as error:
        raise DownloadError(f"{bare(url)} leads to something other than http and https, which is refused") from error
    except requests.RequestException as error:
        raise DownloadError(f"{bare(url)} cannot be fetched: {type(error).__name__}") from error


def _check_status(url: str, answer: requests.Response) -> None:
    status = answer.status_code
    if status in PASSING_STATUS:
        asked = answer.headers.get("Retry-After", "")
        raise _PassingError(f"the server answered {status} {answer.reason}", float(asked) if asked.isdecimal() else 0.0)
    if status != requests.codes.ok:
        raise DownloadError(f"{bare(url)}: the server answered {status} {answer.reason}", hint=HINTS.get(status, ""))


def _receive(answer: requests.Response, stream: IO[bytes], show: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    # The bytes as they are: requests would unpack a .tar.gz that a server labels Content-Encoding: gzip.
    for piece in answer.raw.stream(PIECE, decode_content=False):
        digest.update(piece)
        stream.write(piece)
        show(len(piece))
    stream.flush()
    return digest.hexdigest()


def _show_progress(url: str, answer: requests.Response) -> Callable[[int], None]:
    """Return a function that takes the size of each piece and tells each whole percent once."""
    name = Path(urlsplit(url).path).name
    length = answer.headers.get("Content-Length", "")
    size_bytes = int(length) if length.isdecimal() else 0
    received = shown = 0

    def show(piece_bytes: int) -> None:
        nonlocal received, shown
        received += piece_bytes
        percent = received * 100 // size_bytes if size_bytes else 0
        if percent > shown:
            shown = percent
            log.progress(name, min(1.0, received / size_bytes))

    return show


def _root_reason(error: BaseException) -> str:
    """Return the system's own words ("Connection refused"); what libraries say holds the whole URL."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror and not isinstance(seen, requests.RequestException):
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    slow = isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError)
    return "the server is silent" if slow else "the connection broke"


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
    """Return the fingerprints of the primary keys in a file; of one that nobody wants, with the reason before it.

    The records of --with-colons are described in GnuPG's doc/DETAILS: an fpr belongs to the pub or sub before it.
    """
    shown = run([*_gpg(path), "--with-colons", "--show-keys", path], ok=(0, 2))
    records = [line.split(":") for line in shown.stdout.splitlines()]
    found = []
    for above, record in pairwise(records):
        if record[0] == "fpr" and above[0] in ("pub", "sec"):
            fault = "secret" if above[0] == "sec" else KEY_FAULTS.get(above[1])
            found.append(f"the {fault} key {record[9]}" if fault else record[9])
    return found


def _gpg(path: Path) -> list[str | Path]:
    """gpg with a home of its own in the cache: the user's keys and options have no say."""
    home = path.parent / ".gnupg"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return ["gpg", "--homedir", home, "--batch", "--no-options", "--no-autostart"]
