# SPDX-License-Identifier: MIT
"""Resolve the packages that apt would install for a plan.

apt simulates the steps of mmdebstrap: first the essential packages; then, as if those were installed, the required ones
and the plan's. Nothing is downloaded. The packages of the base layer are resolved in the same way. If they include a
package that the whole plan does not have, there is no base layer: the base must be a part of the whole.
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
    """The packages that a build installs."""

    base: tuple[Archived, ...]
    """Packages of the base layer; empty without one."""
    packages: tuple[Archived, ...]
    """All packages, sorted by file name."""
    supply: Supply = UNKNOWN
    """The archives that they come from."""


class Ask(Protocol):
    """Run an apt that has the plan's archives, and return its output."""

    def __call__(self, *arguments: str) -> str: ...


def simulate(plan: Plan, ask: Ask, status: Path) -> Resolved:
    """Return the packages for a plan in the archives' current indexes. `status` is a file to overwrite."""
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
        log.note(f"no base layer: it alone would install {', '.join(surplus) or 'other versions'}")
        base = ()
    return Resolved(base, packages)


def _select(plan: Plan, what: str) -> str:
    """Return mmdebstrap's own pattern (in its run_download and run_install) for a part of the plan's suite."""
    suite = plan.recipe.suite
    of_suite = f"?or(?archive(^{suite}$),?codename(^{suite}$))"
    return f"?narrow({of_suite},?architecture({plan.recipe.architecture.value}),{what})"


def _find_uris(output: str) -> list[Archived]:
    """Return the packages in the output of apt-get --print-uris."""
    packages = []
    for match in URI_LINE.finditer(output):
        name, version, architecture = match["file"].removesuffix(".deb").split("_")
        size_bytes = int(match["size"])
        packages.append(Archived(name, unquote(version), architecture, match["file"], size_bytes, match["sha256"]))
    return packages
