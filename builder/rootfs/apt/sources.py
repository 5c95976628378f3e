# SPDX-License-Identifier: MIT
"""Package archives as APT reads them: while the rootfs is made, and later on the board.

Both are deb822 sources. They differ in where the key is: APT outside reads it from this machine, APT on the board
from /usr/share/keyrings (keys of Debian's own packages) or /etc/apt/keyrings (all others, copied there).
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
"""What divides the values of Signed-By (sources.list(5))."""


def collect_keys(archives: Mapping[str, Archive], cache: Path) -> dict[str, Path]:
    """Return the keyring file of each archive, fetching those that a recipe pins by fingerprint.

    Raises TrustError for a key that is not the one asked for, DownloadError where it cannot be fetched, MachineError
    for a path that APT cannot read.
    """
    keys = {name: _find_key(name, archive, cache) for name, archive in archives.items()}
    for name, path in keys.items():
        if UNREADABLE.search(str(path)):
            raise MachineError(
                f"archives.{name}: the path of the key {str(path)!r} has a space or a comma, where APT cuts it in two",
                hint="rename the directory, or name another one with BOARDWRIGHT_BOARDS and BOARDWRIGHT_WORK",
            )
    return keys


def _find_key(name: str, archive: Archive, cache: Path) -> Path:
    key = archive.key
    if key.url and key.fingerprint:
        return fetch_key(key.url, key.fingerprint, cache)
    path = Path(key.file or "")
    if not path.is_file():
        raise TrustError(
            f"archives.{name}: the key {path} is not on this machine", hint="apt-get install debian-archive-keyring"
        )
    return path


def render_sources(archives: Mapping[str, Archive], keys: Mapping[str, Path]) -> str:
    """Return deb822 sources, one stanza an archive."""
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
    """Give the board's APT the archives it was built from, one file an archive, with its key beside it, and `pins`,
    the apt_preferences that the build had."""
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
