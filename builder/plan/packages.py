# SPDX-License-Identifier: MIT
"""The packages of a plan: kernel, the recipe's groups and Docker's, as apt takes them."""

from __future__ import annotations

from builder.plan.model import DebPlan, PackagePlan
from builder.recipe.model import Archive, Recipe

_DEBIAN_DOCKER = ("docker.io", "docker-cli", "docker-compose", "containerd", "runc", "iptables")
"""Debian's names since trixie: the CLI is a package of its own, and docker-compose is the plugin."""
_OLDER_DEBIAN_DOCKER = {"bookworm": ("docker.io", "docker-compose", "containerd", "runc", "iptables")}
"""Those of older suites: the CLI is in docker.io, and docker-compose a program of its own."""


def make_packages(recipe: Recipe, family: frozenset[str]) -> PackagePlan:
    """Return what is installed: names without duplicates, sorted, because apt does not care for their order.

    family  names that the board's first ancestor asks for; with Docker they are the layer that boards share
    """
    groups = [recipe.kernel.packages, *recipe.package_groups.values(), docker_packages(recipe)]
    names = {name for group in groups for name in group}
    shared = names & family.union(docker_packages(recipe)).difference(recipe.kernel.packages)
    return PackagePlan(
        names=tuple(sorted(names)),
        base=tuple(sorted(shared)),
        debs=tuple(DebPlan(str(deb.file or deb.url), deb.sha256) for deb in recipe.kernel.debs),
    )


def docker_packages(recipe: Recipe) -> tuple[str, ...]:
    """Return the packages of Engine, CLI and compose from the source that a recipe names."""
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
    """Return the recipe with Docker's own archive among its archives, if Docker comes from there."""
    docker = recipe.docker
    if docker.source != "docker":
        return recipe
    archive = Archive(url=docker.url, suites=[recipe.suite], components=[docker.channel], key=docker.key)
    return recipe.model_copy(update={"archives": {**recipe.archives, "docker": archive}})
