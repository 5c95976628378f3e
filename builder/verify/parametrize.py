# SPDX-License-Identifier: MIT
"""The rows of a plan that specs are made of, and the traits of a board that specs ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.plan.boot_config import render_boot_config
from builder.plan.model import Plan
from builder.plan.packages import name_of
from builder.recipe.check import OLDEST
from builder.recipe.model import Archive


def find_traits(plan: Plan) -> frozenset[str]:
    """Return what `needs` may ask for: features, architecture, boot method, table type; docker, blobs, qemu, users,
    distribution-kernel (of an archive, and not of a file); bookworm or since-trixie.

    A group of packages that the recipe has is a trait (`comfort-packages`), and so is a package that it asks for
    (`package:openssh-server`).
    """
    recipe = plan.recipe
    return frozenset(
        {
            *recipe.features,
            *(f"{group}-packages" for group in recipe.packages),
            *(f"package:{name}" for name in _package_names(plan)),
            *(["distribution-kernel"] if not recipe.kernel.debs else []),
            OLDEST if recipe.suite == OLDEST else "since-trixie",
            *(["users"] if recipe.users else []),
            recipe.architecture.value,
            recipe.boot.method,
            plan.disk.type,
            *(["docker"] if recipe.docker.source != "none" else []),
            *(["blobs"] if plan.disk.blobs else []),
            *(["qemu"] if recipe.qemu else []),
        }
    )


def _package_names(plan: Plan) -> list[str]:
    return [name_of(text) for text in plan.packages.names]


FOR_PEOPLE = [f"/boot/firmware/{name}" for name in ("user-data", "meta-data", "network-config")]
"""Files that are on the card to be changed; first_boot_spec.py says what they must be."""


@dataclass(frozen=True)
class LaidFile:
    """A file that a directory of the board lays over the system."""

    source: Path
    path: str
    """Where it is in the system."""


@dataclass(frozen=True)
class NamedArchive:
    """An archive of the recipe, and the name of its file in the system."""

    name: str
    archive: Archive

    @property
    def path(self) -> str:
        """Where APT reads it."""
        return f"/etc/apt/sources.list.d/{self.name}.sources"


def laid_files(plan: Plan, *, links: bool = False) -> dict[str, LaidFile]:
    """Return files or links by path: a later directory replaces an earlier. Those that people change are left out."""
    found = {}
    for directory in plan.directories:
        top = directory / "files"
        for path in sorted(top.rglob("*")):
            if path.name != ".gitkeep" and (path.is_symlink() if links else path.is_file() and not path.is_symlink()):
                place = f"/{path.relative_to(top).as_posix()}"
                found[place] = LaidFile(path, place)
    return {place: file for place, file in found.items() if place not in FOR_PEOPLE}


TABLES: Mapping[str, Callable[[Plan], Mapping[str, Any]]] = {
    "slot": lambda plan: {slot.name: slot for slot in plan.disk.slots},
    "fat_slot": lambda plan: {slot.name: slot for slot in plan.disk.slots if slot.filesystem.value == "fat32"},
    "ext4_slot": lambda plan: {slot.name: slot for slot in plan.disk.slots if slot.filesystem.value == "ext4"},
    # A blob that was fetched is compared at the build: its content is not in the image.
    "blob": lambda plan: {blob.name: blob for blob in plan.disk.blobs if blob.source != "url"},
    "package": lambda plan: {name: name for name in _package_names(plan)},
    "archive": lambda plan: {name: NamedArchive(name, archive) for name, archive in plan.recipe.archives.items()},
    "user": lambda plan: {name: name for name in plan.recipe.users},
    "membership": lambda plan: {
        f"{name}-{group}": (name, group) for name, user in plan.recipe.users.items() for group in user.groups
    },
    "sudoer": lambda plan: {name: name for name, user in plan.recipe.users.items() if user.sudo == "nopasswd"},
    "enabled_unit": lambda plan: _units(plan, "enabled"),
    "disabled_unit": lambda plan: _units(plan, "disabled"),
    "masked_unit": lambda plan: _units(plan, "masked"),
    "kernel_word": lambda plan: {word: word for word in plan.kernel_cmdline.split() if not word.startswith("root=")},
    "config_line": lambda plan: {
        line: line for text in plan.recipe.boot.config.values() for line in text.splitlines() if line.strip()
    },
    "boot_config": lambda plan: {path: (path, text) for path, text in render_boot_config(plan).items()},
    "laid_file": laid_files,
    "laid_link": lambda plan: laid_files(plan, links=True),
    # With the line that asks for it, which a report shows so.
    "expected": lambda plan: {
        f"{each.kind} {each.name}, asked for by {each.at}": each for each in plan.expected if each.kind != "listening"
    },
    "expected_port": lambda plan: {
        f"{each.name}, asked for by {each.at}": each for each in plan.expected if each.kind == "listening"
    },
    "device_tree": lambda plan: {name: name for name in [plan.recipe.boot.device_tree] if name},
    "boot_script": lambda plan: {script.file: script.file for script in [plan.recipe.boot.script] if script},
}
"""Arguments of specs, by name: from the plan to the rows, each with the name that a report shows."""


def _units(plan: Plan, state: str) -> dict[str, str]:
    return {name: name for name, wanted in plan.recipe.units.items() if wanted == state}
