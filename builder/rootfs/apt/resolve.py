# SPDX-License-Identifier: MIT
"""The packages that the archives have for a plan, as apt would choose them.

apt simulates what mmdebstrap does: the essential packages first, then, as if those were installed, the required ones
and those of the plan. Nothing is downloaded. The same is asked for the packages of the base layer alone; where that
would bring a package that the whole does not have, there is no base layer, for the whole is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from builder import log
from builder.plan.model import Plan
from builder.rootfs.apt.supply import UNKNOWN, Archived, Supply

APT_OPTIONS = ('APT::Install-Recommends "false"', 'Acquire::Languages "none"', 'Acquire::Retries "3"')

# 'http://…/htop_3.4.1-5_arm64.deb' htop_3.4.1-5_arm64.deb 171692 SHA256:7ab1…
URI_LINE = re.compile(
    r"^'(?P<url>[^']+)' (?P<file>\S+\.deb) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})\s*$", re.MULTILINE
)


@dataclass(frozen=True)
class Resolved:
    """What a build installs."""

    base: tuple[Archived, ...]
    """The part that comes as a layer of its own; empty where there is none."""
    packages: tuple[Archived, ...]
    """All of it, by file name."""
    supply: Supply = UNKNOWN
    """Where it comes from."""


class Ask(Protocol):
    """Runs an apt whose archives are the plan's, and returns what it said."""

    def __call__(self, *arguments: str) -> str: ...


def simulate(plan: Plan, ask: Ask, status: Path) -> Resolved:
    """Return what the archives' current indexes have for a plan. `status` is a file to use."""
    install = ("apt-get", "install", "--print-uris", "--yes")
    essential = _find_uris(ask(*install, _select(plan, "?essential")))
    exact = [f"{package.name}={package.version}" for package in essential]
    shown = ask("apt-cache", "show", "--no-all-versions", *exact) if exact else ""
    status.write_text(re.sub(r"^Package: .*$", r"\g<0>\nStatus: install ok installed", shown, flags=re.MULTILINE))
    required = _select(plan, "?and(?priority(required),?not(?essential))")

    def find(names: Sequence[str]) -> tuple[Archived, ...]:
        more = ask(*install, f"--option=Dir::State::status={status}", *names, "apt", required)
        return tuple(sorted([*essential, *_find_uris(more)], key=lambda package: package.file))

    packages, base = find(plan.packages.names), find(plan.packages.base)
    surplus = sorted({package.name for package in base} - {package.name for package in packages})
    if surplus or not set(base) <= set(packages):
        log.note(f"no base layer: alone it would have {', '.join(surplus) or 'other versions'}")
        base = ()
    return Resolved(base, packages)


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
