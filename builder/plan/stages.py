# SPDX-License-Identifier: MIT
"""Make the stages of a plan and their cache keys: a hash of the stage's inputs and of the key before it.

The rootfs has three stages: `base`, the packages of the board's family; `packages`, all others; `system`, files,
users and settings of this board. The first two do not depend on the version, the disk's ids or the board's files. So
after a change of a file only the last one is made again, and boards of a family share the first.

A slice is the inputs of a stage as plain data: values of the plan, and digests of files. It contains no path of this
machine, so two clones of a repository have the same keys.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from builder import __version__
from builder.plan.ids import canonical, portable
from builder.plan.model import BlobPlan, DebPlan, Plan, Stage
from builder.plan.user_data import digest_user_data
from builder.recipe.files import is_system_keyring
from builder.recipe.model import Archive
from builder.system.checksums import sha256_file
from builder.units import render_size

Slice = dict[str, object]
_SYSTEM_FIELDS = {"title", "architecture", "suite", "hostname", "locale", "timezone", "units", "boot"}
"""Top-level values of the recipe that are inputs of `system` without change; others need digests."""
ROOTFS_STEPS = ("base", "packages", "system")


def make_steps(plan: Plan, overlays: Iterable[Path]) -> tuple[Stage, ...]:
    """Return the stages of a plan; its field `steps` is not used."""
    stages = (
        ("base", _base_slice(plan), _base_summary(plan)),
        ("packages", _packages_slice(plan), _packages_summary(plan)),
        ("system", _system_slice(plan, overlays), "files, users, units, boot configuration"),
        ("image", _image_slice(plan), _image_summary(plan)),
        ("package", _package_slice(plan), f"{plan.image_name} compressed, with .sha256 and .packages"),
    )
    steps: list[Stage] = []
    before = __version__
    for name, part, summary in stages:
        before = hashlib.sha256(canonical([before, name, part]).encode()).hexdigest()
        steps.append(Stage(name, before, summary, _digest_inputs(part)))
    return tuple(steps)


def _digest_inputs(part: Slice) -> dict[str, str]:
    """Return a short digest of each value of a slice, with one for each value of the recipe."""
    values = {"builder": __version__, **part}
    recipe = values.pop("recipe", {})
    values |= {f"recipe.{name}": value for name, value in recipe.items()} if isinstance(recipe, dict) else {}
    return {name: hashlib.sha256(canonical(value).encode()).hexdigest()[:16] for name, value in values.items()}


def _base_slice(plan: Plan) -> Slice:
    """Return the inputs of `base`, without archives: a layer depends on their packages, and boards share it."""
    recipe = plan.recipe
    return {"architecture": recipe.architecture.value, "suite": recipe.suite, "packages": list(plan.packages.base)}


def _packages_slice(plan: Plan) -> Slice:
    return {
        "packages": list(plan.packages.names),
        "debs": [_deb_digest(deb) for deb in plan.packages.debs],
        # The part of the disk that package scripts see.
        "filesystems": [[slot.mount, slot.filesystem.value, slot.label] for slot in plan.disk.slots],
    }


def _system_slice(plan: Plan, overlays: Iterable[Path]) -> Slice:
    recipe = plan.recipe
    return {
        "board": plan.board,
        "version": plan.version,
        "epoch": plan.epoch,
        "recipe": portable(recipe.model_dump(mode="json", include=_SYSTEM_FIELDS), plan.directories),
        "boot_order": [list(recipe.boot.cmdline), list(recipe.boot.config)],
        "users": [[name, user.model_dump(mode="json")] for name, user in recipe.users.items()],
        "archives": [[name, _archive_slice(archive)] for name, archive in sorted(recipe.archives.items())],
        "fstab": [[slot.mount, slot.options, slot.filesystem.value, slot.partuuid] for slot in plan.disk.slots],
        "kernel_cmdline": plan.kernel_cmdline,
        "overlays": [digest_overlay(overlay) for overlay in overlays],
        "scripts": [digest_script(directory) for directory in plan.directories],
        "user_data": digest_user_data(plan.user_data),
    }


def _archive_slice(archive: Archive) -> Slice:
    key = archive.key
    keyring = key.file
    if keyring and not is_system_keyring(keyring):
        keyring = sha256_file(Path(keyring))
    return {**archive.model_dump(mode="json"), "key": [keyring, key.url, key.fingerprint]}


def _deb_digest(deb: DebPlan) -> str:
    return deb.sha256 or sha256_file(Path(deb.location))


def _image_slice(plan: Plan) -> Slice:
    return {
        "disk": plan.disk.type,
        "id": plan.disk.id,
        "slots": [asdict(slot) for slot in plan.disk.slots],
        "blobs": [_blob_slice(blob) for blob in plan.disk.blobs],
    }


def _blob_slice(blob: BlobPlan) -> Slice:
    content = sha256_file(Path(blob.location)) if blob.source == "file" else blob.sha256 or blob.location
    return {"content": content, "place": [blob.offset_bytes, blob.limit_bytes, blob.holes]}


def _package_slice(plan: Plan) -> Slice:
    return {"name": plan.image_name}


def digest_script(directory: Path) -> str:
    """Return the SHA-256 of a board's customise.sh, or "" without one."""
    script = directory / "customise.sh"
    return sha256_file(script) if script.is_file() else ""


def digest_overlay(overlay: Path) -> str:
    """Return one digest of an overlay: paths, links, contents and the executable bit.

    Other mode bits and empty directories are left out: git does not keep them, and the rootfs ignores them.
    """
    lines = []
    for path in sorted(overlay.rglob("*"), key=lambda path: path.relative_to(overlay).as_posix()):
        name = path.relative_to(overlay).as_posix()
        if path.is_symlink():
            lines.append(["link", name, str(path.readlink())])
        elif path.is_file():
            lines.append(["program" if os.access(path, os.X_OK) else "file", name, sha256_file(path)])
    return hashlib.sha256(canonical(lines).encode()).hexdigest()


def _base_summary(plan: Plan) -> str:
    recipe = plan.recipe
    return f"Debian {recipe.suite} for {recipe.architecture.value}, {len(plan.packages.base)} packages of the family"


def _packages_summary(plan: Plan) -> str:
    more = len(plan.packages.names) - len(plan.packages.base)
    files = f" and {len(plan.packages.debs)} as files" if plan.packages.debs else ""
    return f"{more} more packages asked{files}, by mmdebstrap"


def _image_summary(plan: Plan) -> str:
    slots = ", ".join(
        f"{slot.name} {slot.filesystem.value} {render_size(slot.sectors * 512) if slot.sectors else 'auto'}"
        for slot in plan.disk.slots
    )
    blobs = f", {len(plan.disk.blobs)} boot blobs" if plan.disk.blobs else ""
    return f"{plan.disk.type.upper()}: {slots}{blobs}"
