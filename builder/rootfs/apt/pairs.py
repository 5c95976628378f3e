# SPDX-License-Identifier: MIT
"""Find packages that two architectures have in the same source version, with a private apt for the target's archives.

Architectures of an archive may have different versions: a security update appears when it is built, on riscv64 hours
after amd64. So the version of the foreign architecture is used for both, if both have it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.rootfs.apt.root import make_root
from builder.system.process import run

# An entry of `apt-cache policy`, and a version in its table (apt-cache(8)).
ENTRY = re.compile(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)\n((?:  .*\n)*)", re.MULTILINE)
VERSION = re.compile(r"^ (?:\*\*\*|   ) (\S+) -?\d+$", re.MULTILINE)

OPTIONS = ('APT::Install-Recommends "false"', 'Acquire::Languages "none"')


@dataclass(frozen=True)
class Sources:
    """The archives of the target. The suite is part of the name of the twin tree."""

    suite: str
    deb822: str  # with Signed-By
    pins: str = ""  # apt_preferences
    apt_options: tuple[str, ...] = ()  # lines of apt.conf, such as 'Acquire::Check-Date "false";'
    releases: tuple[str, ...] = ()  # URLs of the InRelease files; without them apt is always asked


@dataclass(frozen=True)
class _Policy:
    """The versions of a package in `apt-cache policy`."""

    candidate: str
    versions: tuple[str, ...]


def make_apt(sources: Sources, architectures: tuple[str, str], root: Path) -> dict[str, str]:
    """Bring the package lists of both architectures up to date, under a root of its own; return the environment."""
    options = (*OPTIONS, *(line.rstrip(";") for line in sources.apt_options))
    environment = make_root(root, architectures=architectures, sources=sources.deb822, options=options)
    (root / "etc/apt/preferences.d/target").write_text(sources.pins)
    run(["apt-get", "update", "--error-on=any"], env=environment)
    return environment


def find_versions(wanted: Collection[str], foreign: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return version by name of the native packages that apt would install for the known ones of `wanted`."""
    known = run(["apt-cache", "--generate", "pkgnames"], env=environment).stdout.split()
    requested = sorted(set(wanted).intersection(known))
    if not requested:
        return {}
    policies = _read_policies([*requested, *(f"{name}:{foreign}" for name in requested)], environment)
    chosen = [_choose(name, policies.get(name), policies.get(f"{name}:{foreign}")) for name in requested]
    plan = run(["apt-get", "install", "--simulate", *chosen], env=environment, ok=(0, 100))
    if plan.code:  # A chosen version conflicts with the newest versions of other packages.
        plan = run(["apt-get", "install", "--simulate", *requested], env=environment)
    return dict(re.findall(r"^Inst (\S+) \((\S+) ", plan.stdout, flags=re.MULTILINE))


def find_paired(versions: Mapping[str, str], foreign: str, environment: Mapping[str, str]) -> set[str]:
    """Return the packages whose candidate for the foreign architecture has the same source version."""
    policies = _read_policies([f"{name}:{foreign}" for name in versions], environment)
    return {
        name
        for name, version in versions.items()
        if (policy := policies.get(f"{name}:{foreign}")) and find_source(policy.candidate) == find_source(version)
    }


def find_source(version: str) -> str:
    """Return the version of the source, without the +bN of a rebuild for one architecture (Debian policy 5.6.12)."""
    return re.sub(r"\+b\d+$", "", version)


def _read_policies(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, _Policy]:
    text = run(["apt-cache", "policy", *names], env=environment).stdout
    return {name: _Policy(candidate, tuple(VERSION.findall(rest))) for name, candidate, rest in ENTRY.findall(text)}


def _choose(name: str, native: _Policy | None, foreign: _Policy | None) -> str:
    """Return apt's argument that installs a package, with the version of the foreign one if the native has it too."""
    if native and foreign:
        wanted = find_source(foreign.candidate)
        same = [version for version in native.versions if find_source(version) == wanted]
        if same and find_source(native.candidate) != wanted:
            return f"{name}={same[0]}"
    return name
