# SPDX-License-Identifier: MIT
"""Query the package archives of a recipe with a private apt, before anything is built.

It fetches the signed indexes, resolves the packages of a plan (resolve.py) and downloads the .debs. mmdebstrap then
gets the entries of these packages and all the .debs. So it installs exactly the resolved packages, without a network.

    CACHE/apt/<digest of the sources>/           root of the private apt; an update fetches changes only
    CACHE/apt/<digest of the sources>/answers/   resolved packages by request, with the digests of the indexes
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from builder import log
from builder.cache.store import Store
from builder.plan.model import Plan
from builder.rootfs.apt.errors import explain
from builder.rootfs.apt.freshness import digest_releases, find_releases, has_changed
from builder.rootfs.apt.indexes import LIST, NAME, read_indexes
from builder.rootfs.apt.pins import render_pins
from builder.rootfs.apt.resolve import APT_OPTIONS, Resolved, simulate
from builder.rootfs.apt.root import make_root
from builder.rootfs.apt.sources import render_sources
from builder.rootfs.apt.supply import Archived, find_supply
from builder.rootfs.records import load_answer
from builder.system.checksums import sha256_file
from builder.system.locks import locked
from builder.system.process import run
from builder.units import render_size

# Separates entries of an index (deb822(5)).
BLANK = re.compile(rb"\n(?:[ \t\r]*\n)+")

OPTIONS = (
    # Else --print-uris prefers the oldest digest an archive has.
    'Acquire::ForceHash "SHA256"',
    # Signed all the same; a suite like stable changes its codename while we keep its indexes.
    'Acquire::AllowReleaseInfoChange "true"',
)


class Archives:
    """The package archives of a plan.

    All methods may raise TrustError (wrong signature, key or digest), DownloadError (an archive cannot be reached),
    RecipeError (unknown package) or ToolError.
    """

    def __init__(self, plan: Plan, keys: Mapping[str, Path], *, cache: Path, log_file: Path) -> None:
        """Create the private apt; `keys` has the keyring file on this machine, by archive of the recipe."""
        self._plan = plan
        self._log_file = log_file
        self._pins: str | None = None
        sources, architecture = render_sources(plan.recipe.archives, keys), plan.recipe.architecture.value
        asked = json.dumps({name: archive.pin for name, archive in plan.recipe.archives.items()})
        name = hashlib.sha256("\0".join((architecture, sources, asked)).encode()).hexdigest()[:16]
        self._root = cache / "apt" / name
        with self._locked():
            self._environment = make_root(
                self._root, architectures=(architecture,), sources=sources, options=(*OPTIONS, *APT_OPTIONS)
            )
            self._root.touch()  # The time of its last use, for the cache's size limit.

    def resolve(self) -> Resolved:
        """Return the packages that a build of the plan installs now."""
        with self._locked():
            answer = self._read_answer()
            if answer:
                return answer
            self._update()
            archives, indexes = self._plan.recipe.archives, read_indexes(self._ask(*LIST))
            self._pins = render_pins(archives, indexes)
            (self._root / "etc/apt/preferences.d/target").write_text(self._pins, encoding="utf-8")
            simulated = simulate(self._plan, self._ask, self._root / "essential")
            supply = find_supply(simulated.packages, archives, self._plan.packages.names, indexes)
            resolved = replace(simulated, supply=supply)
            self._write_answer(resolved)
        return resolved

    @property
    def pins(self) -> str:
        """Priorities of the archives as apt_preferences; empty if all have APT's default. Call resolve() first."""
        assert self._pins is not None
        return self._pins

    def provide(self, packages: Sequence[Archived], store: Store, *, debs: Path, lists: Path) -> None:
        """Put the .debs into `debs`, under the file names that apt expects, and indexes of these packages into `lists`.

        Both directories are created. The .debs are checked by the SHA-256 in the signed index: apt compares only sizes.
        """
        missing = place_debs(packages, store, debs)
        with self._locked():
            if self._drop_damaged():
                self._update()
            if missing:
                with log.step(f"download {len(missing)} packages"):
                    self._download(missing, store, debs)
            # Links are safe: apt replaces its indexes, it does not write into them.
            shutil.copytree(self._root / "var/lib/apt/lists", lists, copy_function=os.link)
            lists.chmod(0o755)  # It becomes part of the layer; the private apt's has the caller's umask.
        for index in lists.glob("*_Packages"):
            _shorten(index, {package.name for package in packages})

    def _download(self, packages: Sequence[Archived], store: Store, debs: Path) -> None:
        exact = [f"{package.name}={package.version}" for package in packages]
        try:
            self._ask("apt-get", "download", *exact, cwd=debs)
        finally:
            for package in packages:  # If one failed, keep those that were downloaded before it.
                deb = debs / package.file
                if deb.exists():
                    store.add(deb, package.sha256)
                    facts = {"name": package.name, "version": package.version, "architecture": package.architecture}
                    store.set_ref(f"deb/{package.file}", package.sha256, facts)
                    store.link(package.sha256, deb)

    def _update(self) -> None:
        self._drop_damaged()
        self._ask("apt-get", "update", "--error-on=any")

    def _drop_damaged(self) -> bool:
        """Remove indexes whose digest is not in a signed Release, so that apt fetches them again. Return True if any.

        apt checks an index only when it downloads it: an index that a crash has truncated would be used for ever.
        """
        lists = self._root / "var/lib/apt/lists"
        signed = "".join(path.read_text(encoding="utf-8", errors="replace") for path in lists.glob("*Release"))
        damaged = [path for path in lists.glob("*_Packages") if sha256_file(path) not in signed]
        for path in damaged:
            log.note(f"{path} is damaged; it is fetched again")
            path.unlink()
        for path in (self._root / "var/cache/apt").glob("*.bin"):
            path.unlink()
        return bool(damaged)

    def _ask(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run the private apt and return its output; report failures as those of the recipe's archives."""
        # Only updates and downloads are logged: the other commands print hundreds of lines.
        log_file = self._log_file if {"update", "download"}.intersection(arguments) else None
        result = run(arguments, env=self._environment, cwd=cwd, ok=range(256), log_file=log_file)
        if result.code:
            raise explain(result, self._plan, self._log_file, name=arguments[0])
        return result.stdout

    def _answer_file(self) -> Path:
        asked = json.dumps([self._plan.recipe.suite, self._plan.packages.names, self._plan.packages.base])
        return self._root / "answers" / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"

    def _read_answer(self) -> Resolved | None:
        """Return the stored result of an earlier run; None if there is none, or if an archive has changed since."""
        try:
            answer = load_answer(self._answer_file().read_bytes())
        except FileNotFoundError:
            return None
        if answer is None or digest_releases(self._root / "var/lib/apt/lists") != answer.releases:
            return None
        self._pins = answer.pins
        is_old = has_changed(find_releases(self._plan.recipe.archives), answer.releases)
        return None if is_old else answer.resolved

    def _write_answer(self, resolved: Resolved) -> None:
        releases = digest_releases(self._root / "var/lib/apt/lists")
        path = self._answer_file()
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"releases": releases, "pins": self._pins, **asdict(resolved)}), encoding="utf-8")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with locked(self._root.with_suffix(".lock")):
            yield


def _shorten(index: Path, names: Collection[str]) -> None:
    """Replace an index by its entries of some packages, with all their versions, in the same order.

    mmdebstrap starts apt six times, and each time it would read 60,000 packages, of which 300 are already selected.
    """
    wanted = {name.encode() for name in names}
    kept = [entry for entry in BLANK.split(index.read_bytes()) if _find_name(entry) in wanted]
    index.unlink()  # It is a link to the private apt's index, which must not change.
    index.write_bytes(b"".join(entry.rstrip(b"\n") + b"\n\n" for entry in kept))


def _find_name(entry: bytes) -> bytes:
    match = NAME.search(entry)
    return match[1] if match else b""


def place_debs(packages: Sequence[Archived], store: Store, directory: Path) -> list[Archived]:
    """Link the store's .debs into a new directory, under the file names of apt; return the missing packages."""
    directory.mkdir()
    store.prefetch([package.sha256 for package in packages])
    missing = [package for package in packages if not store.link(package.sha256, directory / package.file)]
    cached, size = len(packages) - len(missing), sum(package.size_bytes for package in missing)
    log.note(f"{cached} of {len(packages)} packages are in the cache; {render_size(size)} to download")
    return missing
