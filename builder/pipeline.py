# SPDX-License-Identifier: MIT
"""The chain: plan → rootfs → image → specs → artefacts. Only this module knows the order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder import log
from builder.cache import CACHE_BYTES, in_use, shrink
from builder.fetch import fetch
from builder.image.assemble import check_image, make_image
from builder.plan.model import Plan
from builder.release.artefact import Artefact, Compression, make_artefact, render_packages
from builder.rootfs.make import Use, make_rootfs
from builder.units import render_size
from builder.verify.check import verify_image
from builder.workspace import open_workspace


@dataclass(frozen=True)
class Choices:
    """How to build: what changes the way, not the image."""

    state: Path
    """Directory of rooms, journals and caches."""
    output: Path
    """Directory of finished artefacts."""
    assembler: Literal["auto", "loop", "offline"] = "auto"
    compression: Compression = "zst"
    emulation: Literal["auto", "redirect", "qemu"] = "auto"
    wait: bool = True
    """Wait for another build of the same board, or raise BusyError."""
    rootfs: Use = "current"
    """When the rootfs of the last build is taken."""
    verify: bool = True
    """Run the specs on the image, and hand out none that one finds fault with."""
    cache_bytes: int = CACHE_BYTES
    """What the caches may hold when the build is done."""


def build(plan: Plan, choices: Choices) -> tuple[Artefact, ...]:
    """Build everything a plan says and return the artefacts; nothing else is left but the board's room."""
    artefacts = _build(plan, choices)
    removed = shrink(choices.state, choices.cache_bytes)
    if removed:
        size = render_size(sum(item.size_bytes for item in removed))
        log.note(f"the caches held more than {render_size(choices.cache_bytes)}: removed {size} not used for longest")
    return artefacts


def _build(plan: Plan, choices: Choices) -> tuple[Artefact, ...]:
    cache = choices.state / "cache"
    with (
        in_use(choices.state),
        open_workspace(choices.state, plan.board, wait=choices.wait) as workspace,
    ):
        workspace.log_file.unlink(missing_ok=True)
        blobs = fetch_blobs(plan, cache / "files")
        rootfs = make_rootfs(plan, workspace, emulation=choices.emulation, cache=cache, use=choices.rootfs)
        image = make_image(plan, rootfs, workspace, assembler=choices.assembler, blobs=blobs)
        check_image(image)
        listing = render_packages(rootfs.packages)
        reports = verify_image(plan, image.path, workspace, packages=listing) if choices.verify else ()
        with log.step(f"artefact: {choices.compression}"):
            return make_artefact(
                image.path,
                name=plan.image_name.removesuffix(".img"),
                compression=choices.compression,
                packages=rootfs.packages,
                reports=reports,
                output=choices.output,
                epoch=plan.epoch,
                journal=workspace.journal,
            )


def fetch_blobs(plan: Plan, cache: Path) -> Mapping[str, Path]:
    """Fetch the boot blobs that a recipe names by URL, by digest."""
    wanted = [blob for blob in plan.disk.blobs if blob.source == "url"]
    return {blob.name: fetch(blob.location, sha256=blob.sha256, cache=cache) for blob in wanted}
