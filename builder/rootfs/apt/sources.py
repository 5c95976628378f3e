# SPDX-License-Identifier: MIT
"""Write package archives as APT sources: for the build, and for the board.

Both are deb822 sources, with different paths of the keys. During the build, APT reads keys from this machine. On the
board it reads them from /usr/share/keyrings (keys in Debian packages) or /etc/apt/keyrings (all others, copied there).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from builder import quote
from builder.errors import MachineError, TrustError
from builder.net.download import fetch_key
from builder.recipe.model import Archive
from builder.system.paths import resolve_inside, write_text

SYSTEM_KEYRINGS = Path("/usr/share/keyrings")
UNREADABLE = re.compile(r"[\s,]")
"""Characters that separate values of Signed-By (sources.list(5))."""


def collect_keys(archives: Mapping[str, Archive], cache: Path) -> dict[str, Path]:
    """Return the keyring file of each archive; download keys that a recipe pins by fingerprint.

    Raises TrustError for a wrong or missing key, DownloadError if a key cannot be downloaded, MachineError for a path
    that APT cannot read.
    """
    keys = {name: _find_key(name, archive, cache) for name, archive in archives.items()}
    for name, path in keys.items():
        if UNREADABLE.search(str(path)):
            raise MachineError(
                f"archives.{name}: found the key path {str(path)!r}; expected one without spaces and commas",
                hint="rename the directory, or set BOARDWRIGHT_BOARDS and BOARDWRIGHT_WORK to other directories",
            )
    return keys


def _find_key(name: str, archive: Archive, cache: Path) -> Path:
    key = archive.key
    if key.url and key.fingerprint:
        return fetch_key(key.url, key.fingerprint, cache)
    path = Path(key.file or "")
    if not path.is_file():
        raise TrustError(
            f"archives.{name}: the key {path} is not on this machine",
            hint="install it: apt-get install debian-archive-keyring",
        )
    return path


def render_sources(archives: Mapping[str, Archive], keys: Mapping[str, Path]) -> str:
    """Return deb822 sources, one stanza per archive."""
    return "\n".join(_render_archive(archive, keys[name]) for name, archive in archives.items())


def _render_archive(archive: Archive, key: Path) -> str:
    fields = {
        "Types": "deb",
        "URIs": archive.url,
        "Suites": " ".join(archive.suites),
        "Components": " ".join(archive.components),
        "Signed-By": str(key),
    }
    return quote.deb822(fields)


def install_sources(rootfs: Path, archives: Mapping[str, Archive], keys: Mapping[str, Path], pins: str) -> None:
    """Write the archives of the build for the board's APT: one file per archive, its key, and the build's pins.

    pins  apt_preferences of the build; empty for none
    """
    for old in (rootfs / "etc/apt/sources.list", *(rootfs / "etc/apt/sources.list.d").glob("*")):
        old.unlink(missing_ok=True)
    for name, archive in archives.items():
        on_board = _install_key(rootfs, name, keys[name])
        write_text(rootfs, f"/etc/apt/sources.list.d/{name}.sources", render_sources({name: archive}, {name: on_board}))
    if pins:
        write_text(rootfs, "/etc/apt/preferences.d/boardwright", pins)


def _install_key(rootfs: Path, name: str, key: Path) -> Path:
    if key.is_relative_to(SYSTEM_KEYRINGS) and resolve_inside(rootfs, str(key)).is_file():
        return key
    on_board = Path("/etc/apt/keyrings") / f"{name}{key.suffix or '.gpg'}"
    target = resolve_inside(rootfs, str(on_board))
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(key, target)
    target.chmod(0o644)
    return on_board
