# SPDX-License-Identifier: MIT
"""The package archives of a recipe, asked by a private apt before anything is made.

It fetches the signed indexes, finds out what they have for a plan (resolve.py), and downloads the .debs. mmdebstrap is
then given what the indexes say of these packages and all the .debs, so what was found is what it installs, and it needs
no network.

    CACHE/apt/<digest of the sources>/           root of the private apt; an update asks for news only
    CACHE/apt/<digest of the sources>/answers/   what was found for a list of packages, and from which indexes
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
from builder.rootfs.apt.freshness import digest_releases, find_releases, has_news
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

# Between entries of an index (deb822(5)).
BLANK = re.compile(rb"\n(?:[ \t\r]*\n)+")

OPTIONS = (
    # Else --print-uris prefers the oldest digest an archive has.
    'Acquire::ForceHash "SHA256"',
    # Signed all the same; a suite like stable changes its codename while we keep its indexes.
    'Acquire::AllowReleaseInfoChange "true"',
)


class Archives:
    """What a plan's archives have. Errors of any call: TrustError (a signature, key or digest is wrong),
    DownloadError (an archive cannot be reached), RecipeError (there is no such package) or ToolError."""

    def __init__(self, plan: Plan, keys: Mapping[str, Path], *, cache: Path, log_file: Path) -> None:
        """`keys` has the keyring file on this machine of each archive of the recipe."""
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
            found = simulate(self._plan, self._ask, self._root / "essential")
            supply = find_supply(found.packages, archives, self._plan.packages.names, indexes)
            resolved = replace(found, supply=supply)
            self._write_answer(resolved)
        return resolved

    @property
    def pins(self) -> str:
        """The archives' priorities as apt_preferences; empty where all have APT's own. Resolve comes first."""
        assert self._pins is not None
        return self._pins

    def provide(self, packages: Sequence[Archived], store: Store, *, debs: Path, lists: Path) -> None:
        """Put the .debs into the directory `debs` (to be made) under the names that apt looks for, and the indexes into
        `lists`, with these packages alone.

        They are taken by the digest that stands in the signed index, and hashed: apt compares only their sizes.
        """
        missing = place_debs(packages, store, debs)
        with self._locked():
            if self._drop_damaged():
                self._update()
            if missing:
                with log.step(f"download {len(missing)} packages"):
                    self._download(missing, store, debs)
            # Links will do: apt replaces its indexes, it does not write into them.
            shutil.copytree(self._root / "var/lib/apt/lists", lists, copy_function=os.link)
            lists.chmod(0o755)  # It becomes the layer's own; that of the private apt is as the umask of who builds.
        for index in lists.glob("*_Packages"):
            _shorten(index, {package.name for package in packages})

    def _download(self, packages: Sequence[Archived], store: Store, debs: Path) -> None:
        exact = [f"{package.name}={package.version}" for package in packages]
        try:
            self._ask("apt-get", "download", *exact, cwd=debs)
        finally:
            for package in packages:  # Also those that came before one that failed.
                deb = debs / package.file
                if deb.exists():
                    store.take(deb, package.sha256)
                    facts = {"name": package.name, "version": package.version, "architecture": package.architecture}
                    store.set_ref(f"deb/{package.file}", package.sha256, facts)
                    store.place(package.sha256, deb)

    def _update(self) -> None:
        self._drop_damaged()
        self._ask("apt-get", "update", "--error-on=any")

    def _drop_damaged(self) -> bool:
        """Remove the indexes that are not what a signed Release says, so that apt fetches them again.

        apt checks an index when it comes and never again: one that was cut short by a crash would be used for ever.
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
        """Run the private root's apt; its failures are told as those of the recipe's archives."""
        # Only what an update or a download says is a story; the answers are lists of hundreds of lines.
        log_file = self._log_file if {"update", "download"}.intersection(arguments) else None
        result = run(arguments, env=self._environment, cwd=cwd, ok=range(256), log_file=log_file)
        if result.code:
            raise explain(result, self._plan, self._log_file, name=arguments[0])
        return result.stdout

    def _answer_file(self) -> Path:
        asked = json.dumps([self._plan.recipe.suite, self._plan.packages.names, self._plan.packages.base])
        return self._root / "answers" / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"

    def _read_answer(self) -> Resolved | None:
        """Return what was found before, if no archive has had news since."""
        try:
            answer = load_answer(self._answer_file().read_bytes())
        except FileNotFoundError:
            return None
        if answer is None or digest_releases(self._root / "var/lib/apt/lists") != answer.releases:
            return None
        self._pins = answer.pins
        is_old = has_news(find_releases(self._plan.recipe.archives), answer.releases)
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
    """Replace an index by what it says of some packages, all their versions, in the order that it has.

    mmdebstrap starts apt six times, and each reads all of it: 60,000 packages of which 300 are chosen already.
    """
    wanted = {name.encode() for name in names}
    kept = [entry for entry in BLANK.split(index.read_bytes()) if _find_name(entry) in wanted]
    index.unlink()  # A link to the one that is kept.
    index.write_bytes(b"".join(entry.rstrip(b"\n") + b"\n\n" for entry in kept))


def _find_name(entry: bytes) -> bytes:
    match = NAME.search(entry)
    return match[1] if match else b""


def place_debs(packages: Sequence[Archived], store: Store, directory: Path) -> list[Archived]:
    """Give the store's .debs the names that apt looks for, in a new directory; return the packages it lacks."""
    directory.mkdir()
    store.bring([package.sha256 for package in packages])
    missing = [package for package in packages if not store.place(package.sha256, directory / package.file)]
    here, size = len(packages) - len(missing), sum(package.size_bytes for package in missing)
    log.note(f"{here} of {len(packages)} packages are here already; {render_size(size)} to download")
    return missing
