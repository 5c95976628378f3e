# SPDX-License-Identifier: MIT
"""The packages that a recipe's archives have for it now, found before anything is made.

A private apt fetches the signed indexes, and simulates what mmdebstrap does with them: the essential packages first,
then, as if those were installed, the required ones and those of the plan. Nothing is downloaded. mmdebstrap is then
given the same indexes, so what is found here is what it installs, and each .deb has the digest that is signed for it.

    CACHE/apt/<digest of the sources>/   root of the private apt; its indexes survive, so an update asks for news only
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from builder import log
from builder.plan.model import Plan
from builder.rootfs.explain import explain
from builder.rootfs.sources import render_pins, render_sources
from builder.run import run
from builder.store import locked

APT_OPTIONS = ('APT::Install-Recommends "false"', 'Acquire::Languages "none"', 'Acquire::Retries "3"')

# 'http://…/htop_3.4.1-5_arm64.deb' htop_3.4.1-5_arm64.deb 171692 SHA256:7ab1…
URI_LINE = re.compile(
    r"^'(?P<url>[^']+)' (?P<file>\S+\.deb) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})\s*$", re.MULTILINE
)


@dataclass(frozen=True)
class Archived:
    """A package as its archive has it."""

    name: str
    version: str
    architecture: str
    file: str
    """Name that APT gives it below /var/cache/apt/archives."""
    size_bytes: int
    sha256: str


def resolve(plan: Plan, keys: Mapping[str, Path], *, cache: Path, lists: Path, log_file: Path) -> tuple[Archived, ...]:
    """Ask the plan's archives what they have for it; return that by file name.

    keys   keyring file on this machine for each archive of the recipe
    lists  directory to make, for the indexes that said so: apt's /var/lib/apt/lists

    Raises TrustError (a signature or key is wrong), DownloadError (an archive cannot be reached), RecipeError (an
    archive has no such package) or ToolError.
    """
    sources, pins = render_sources(plan.recipe.archives, keys), render_pins(plan.recipe.archives)
    architecture = plan.recipe.architecture.value
    root = cache / "apt" / hashlib.sha256("\0".join((architecture, sources, pins)).encode()).hexdigest()[:16]
    with locked(root.with_suffix(".lock")):
        _drop_damaged(root)
        ask = _Asker(plan, _make_root(root, sources, pins, architecture), log_file)
        ask("apt-get", "update", "--error-on=any")
        packages = _simulate(plan, ask, root / "essential")
        # Links will do: apt replaces its indexes, it does not write into them.
        shutil.copytree(root / "var/lib/apt/lists", lists, copy_function=os.link)
    return packages


def _simulate(plan: Plan, ask: _Asker, status: Path) -> tuple[Archived, ...]:
    install = ("apt-get", "install", "--print-uris", "--yes")
    essential = _find_uris(ask(*install, _select(plan, "?essential")))
    exact = [f"{package.name}={package.version}" for package in essential]
    shown = ask("apt-cache", "show", "--no-all-versions", *exact) if exact else ""
    status.write_text(re.sub(r"^Package: .*$", r"\g<0>\nStatus: install ok installed", shown, flags=re.MULTILINE))
    required = _select(plan, "?and(?priority(required),?not(?essential))")
    more = ask(*install, f"--option=Dir::State::status={status}", *plan.packages.names, "apt", required)
    return tuple(sorted([*essential, *_find_uris(more)], key=lambda package: package.file))


def _drop_damaged(root: Path) -> None:
    """Remove the indexes that are not what a signed Release says, so that apt fetches them again.

    apt checks an index when it comes and never again: one that was cut short by a crash would be used for ever.
    """
    lists = root / "var/lib/apt/lists"
    signed = "".join(path.read_text(encoding="utf-8", errors="replace") for path in lists.glob("*Release"))
    for path in lists.glob("*_Packages"):
        if hashlib.sha256(path.read_bytes()).hexdigest() not in signed:
            log.note(f"{path} is damaged; it is fetched again")
            path.unlink()
    for path in (root / "var/cache/apt").glob("*.bin"):
        path.unlink()


class _Asker:
    """The private root's apt, whose failures are told as those of the recipe's archives."""

    def __init__(self, plan: Plan, environment: Mapping[str, str], log_file: Path) -> None:
        self._plan = plan
        self._environment = environment
        self._log_file = log_file

    def __call__(self, *arguments: str) -> str:
        # Only what an update says is a story; the answers are lists of hundreds of lines.
        log_file = self._log_file if "update" in arguments else None
        result = run(arguments, env=self._environment, ok=range(256), log_file=log_file)
        if result.code:
            raise explain(result, self._plan, self._log_file, name=arguments[0])
        return result.stdout


def _make_root(root: Path, sources: str, pins: str, architecture: str) -> dict[str, str]:
    """Make the private apt's directories, and return the environment that leads apt-get there."""
    for name in ("etc/apt/sources.list.d", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/dpkg",
                 "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):  # fmt: skip
        (root / name).mkdir(parents=True, exist_ok=True)
    root.touch()
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/apt/sources.list.d/target.sources").write_text(sources, encoding="utf-8")
    (root / "etc/apt/preferences.d/target").write_text(pins, encoding="utf-8")
    lines = (
        f'Dir "{root}"',
        f'Dir::State::status "{root}/var/lib/dpkg/status"',
        f'APT::Architecture "{architecture}"',
        f'APT::Architectures {{ "{architecture}"; }}',
        'APT::Sandbox::User "root"',
        # Else --print-uris prefers the oldest digest an archive has.
        'Acquire::ForceHash "SHA256"',
        # Signed all the same; a suite like stable changes its codename while we keep its indexes.
        'Acquire::AllowReleaseInfoChange "true"',
        *APT_OPTIONS,
    )
    (root / "apt.conf").write_text("".join(f"{line};\n" for line in lines), encoding="utf-8")
    return {"APT_CONFIG": str(root / "apt.conf")}


def _select(plan: Plan, what: str) -> str:
    """Return mmdebstrap's own pattern (its run_download and run_install) for a part of the plan's suite."""
    suite = plan.recipe.suite
    of_suite = f"?or(?archive(^{suite}$),?codename(^{suite}$))"
    return f"?narrow({of_suite},?architecture({plan.recipe.architecture.value}),{what})"


def _find_uris(said: str) -> list[Archived]:
    """Return the packages of apt-get's --print-uris."""
    found = []
    for match in URI_LINE.finditer(said):
        name, version, architecture = match["file"].removesuffix(".deb").split("_")
        found.append(Archived(name, unquote(version), architecture, match["file"], int(match["size"]), match["sha256"]))
    return found
