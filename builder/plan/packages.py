# SPDX-License-Identifier: MIT
"""List the packages of a plan: kernel, the recipe's groups and Docker, in apt's form."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.plan.model import DebPlan, PackagePlan
from builder.recipe.model import Archive, Recipe

_DEBIAN_DOCKER = ("docker.io", "docker-cli", "docker-compose", "containerd", "runc", "iptables")
"""Debian's packages since trixie: the CLI has its own package, and docker-compose is the plugin."""
_OLDER_DEBIAN_DOCKER = {"bookworm": ("docker.io", "docker-compose", "containerd", "runc", "iptables")}
"""Packages of older suites: the CLI is in docker.io, and docker-compose is a separate program."""


def make_packages(recipe: Recipe, family: frozenset[str]) -> PackagePlan:
    """Return the packages to install: names without duplicates, sorted, because their order has no meaning for apt.

    family  names that the board's first ancestor asks for; with Docker they are the layer that boards share
    """
    names = {name for group in find_groups(recipe) for name in group.packages}
    shared = names & family.union(docker_packages(recipe)).difference(recipe.kernel.packages)
    return PackagePlan(
        names=tuple(sorted(names)),
        base=tuple(sorted(shared)),
        debs=tuple(DebPlan(str(deb.file or deb.url), deb.sha256) for deb in recipe.kernel.debs),
    )


@dataclass(frozen=True)
class PackageGroup:
    """Packages that one key of a recipe asks for."""

    name: str
    """Name in the table of a plan."""
    key: str
    packages: tuple[str, ...]


def find_groups(recipe: Recipe) -> list[PackageGroup]:
    """Return all packages that a recipe asks for, by key."""
    return [
        PackageGroup("kernel", "kernel.packages", tuple(recipe.kernel.packages)),
        *(PackageGroup(name, f"packages.{name}", tuple(names)) for name, names in recipe.package_groups.items()),
        PackageGroup("docker", f"docker: source: {recipe.docker.source}", docker_packages(recipe)),
    ]


def name_of(asked: str) -> str:
    """Return the name of a package without version or suite: "tool" for tool=1.0 and tool/trixie-backports."""
    return re.split("[=/]", asked)[0]


def docker_packages(recipe: Recipe) -> tuple[str, ...]:
    """Return the packages of Engine, CLI and compose, from the source in the recipe."""
    docker = recipe.docker
    if docker.source == "none":
        return ()
    if docker.source == "debian":
        return _OLDER_DEBIAN_DOCKER.get(recipe.suite, _DEBIAN_DOCKER)
    chosen = f"={docker.version}" if docker.version else ""
    return (
        f"docker-ce{chosen}",
        f"docker-ce-cli{chosen}",
        "containerd.io",
        "docker-buildx-plugin",
        "docker-compose-plugin",
    )


def add_docker_archive(recipe: Recipe) -> Recipe:
    """Return the recipe, with Docker's own archive added if Docker comes from there."""
    docker = recipe.docker
    if docker.source != "docker":
        return recipe
    archive = Archive(url=docker.url, suites=[recipe.suite], components=[docker.channel], key=docker.key)
    return recipe.model_copy(update={"archives": {**recipe.archives, "docker": archive}})
