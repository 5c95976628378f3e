# SPDX-License-Identifier: MIT
"""Check if package archives have changed, without apt: a few small requests instead of a second of parsing.

If the InRelease file of an archive is byte for byte the one that apt has verified, the archive has the same packages.
Everything else (an error, another format, an expired file) counts as changed, and apt is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from builder.errors import DownloadError
from builder.net import http
from builder.net.retry import TemporaryError
from builder.recipe.model import Archive
from builder.system.checksums import sha256_bytes, sha256_file

TIMEOUT_S = (5.0, 10.0)
LONGEST_S = 20.0
LARGEST = 4 * 1024 * 1024
VALID_UNTIL = re.compile(rb"^Valid-Until: (.+)$", re.MULTILINE)


def digest_releases(lists: Path) -> list[str]:
    """Return the digests of all InRelease files of an apt's lists, sorted."""
    return sorted(sha256_file(path) for path in lists.glob("*InRelease"))


def find_releases(archives: Mapping[str, Archive]) -> tuple[str, ...]:
    """Return the URLs of the archives' InRelease files."""
    urls = {
        f"{archive.url.rstrip('/')}/dists/{suite}/InRelease"
        for archive in archives.values()
        for suite in archive.suites
    }
    return tuple(sorted(urls))


def has_changed(urls: Sequence[str], known: Sequence[str]) -> bool:
    """Return False if the files at `urls` have the digests `known`; True if they differ or cannot be read."""
    if not urls or len(urls) != len(known):
        return True
    try:
        with ThreadPoolExecutor(max_workers=len(urls)) as pool:
            digests = list(pool.map(_read, urls))
    except (TemporaryError, DownloadError, ValueError):
        return True  # apt explains what is wrong there.
    return sorted(digests) != list(known)


def _read(url: str) -> str:
    """Return the digest of a signed index that is still valid; ValueError for any other answer."""
    with http.open_url(url, timeout_s=TIMEOUT_S) as answer:
        text = http.read_all(url, answer, limit=LARGEST, longest_s=LONGEST_S)
    limit = VALID_UNTIL.search(text)
    if limit and parsedate_to_datetime(limit[1].decode("ascii")) < datetime.now(tz=UTC):
        raise ValueError(url)
    return sha256_bytes(text)
