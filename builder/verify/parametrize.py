# SPDX-License-Identifier: MIT
"""Tables of a plan that parametrize specs, and traits of a board that select specs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.boot_methods.table import render_boot_config
from builder.plan.model import Plan
from builder.plan.packages import name_of
from builder.recipe.check import OLDEST
from builder.recipe.model import Archive


def find_traits(plan: Plan) -> frozenset[str]:
    """Return the traits that `needs` may name: features, architecture, boot method, table type.

    More traits: docker, blobs, qemu, users, distribution-kernel (from an archive, not a file), bookworm or
    since-trixie. Each group of packages of the recipe is a trait (`comfort-packages`), and each of its packages
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
            recipe.boot.method.value,
            plan.disk.type,
            *(["docker"] if recipe.docker.source != "none" else []),
            *(["blobs"] if plan.disk.blobs else []),
            *(["qemu"] if recipe.qemu else []),
        }
    )


def _package_names(plan: Plan) -> list[str]:
    return [name_of(text) for text in plan.packages.names]


FOR_PEOPLE = [f"/boot/firmware/{name}" for name in ("user-data", "meta-data", "network-config")]
"""Files that users edit on the card; first_boot_spec.py checks them."""


@dataclass(frozen=True)
class LaidFile:
    """A file of a board's files/, which is copied over the rootfs."""

    source: Path
    path: str
    """Path in the system."""


@dataclass(frozen=True)
class NamedArchive:
    """An archive of the recipe with its name."""

    name: str
    archive: Archive

    @property
    def path(self) -> str:
        """APT's file for the archive."""
        return f"/etc/apt/sources.list.d/{self.name}.sources"


def laid_files(plan: Plan, *, links: bool = False) -> dict[str, LaidFile]:
    """Return files or links of the overlay by path, without those that users edit.

    A later directory replaces an earlier one.
    """
    laid = {}
    for directory in plan.directories:
        top = directory / "files"
        for source in sorted(top.rglob("*")):
            is_wanted = source.is_symlink() if links else source.is_file() and not source.is_symlink()
            if source.name != ".gitkeep" and is_wanted:
                path = f"/{source.relative_to(top).as_posix()}"
                laid[path] = LaidFile(source, path)
    return {path: file for path, file in laid.items() if path not in FOR_PEOPLE}


TABLES: Mapping[str, Callable[[Plan], Mapping[str, Any]]] = {
    "slot": lambda plan: {slot.name: slot for slot in plan.disk.slots},
    "fat_slot": lambda plan: {slot.name: slot for slot in plan.disk.slots if slot.filesystem.value == "fat32"},
    "ext4_slot": lambda plan: {slot.name: slot for slot in plan.disk.slots if slot.filesystem.value == "ext4"},
    # A downloaded blob is compared during the build, because the image has no copy of it.
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
    # The name shows the line of the recipe that has the expectation.
    "expected": lambda plan: {
        f"{row.kind} {row.name}, asked for by {row.at}": row for row in plan.expected if row.kind != "listening"
    },
    "expected_port": lambda plan: {
        f"{row.name}, asked for by {row.at}": row for row in plan.expected if row.kind == "listening"
    },
    "device_tree": lambda plan: {name: name for name in [plan.recipe.boot.device_tree] if name},
    "boot_script": lambda plan: {script.file: script.file for script in [plan.recipe.boot.script] if script},
}
"""Functions from a plan to rows, by the argument of a spec. The key of a row is its name in a report."""


def _units(plan: Plan, state: str) -> dict[str, str]:
    return {name: name for name, wanted in plan.recipe.units.items() if wanted == state}
