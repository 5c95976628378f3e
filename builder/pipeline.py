# SPDX-License-Identifier: MIT
"""The chain: plan → rootfs → image → specs → artefacts. Only this module knows the order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builder import log
from builder.cache import CACHE_BYTES, in_use, shrink
from builder.fetch import fetch
from builder.image.assemble import make_image
from builder.plan.model import Plan
from builder.release.artefact import Artefact, Compression, make_artefact, render_packages
from builder.release.checksums import sha256_file
from builder.release.made import RECORD, find_artefact_inputs, find_made, write_made
from builder.release.record import SUFFIX, make_record, render_record
from builder.rootfs.kept import Kept, opened_rootfs
from builder.rootfs.make import Use, find_rootfs, make_rootfs
from builder.shared import Location
from builder.store import Store
from builder.units import render_size
from builder.verify.check import verify_image
from builder.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from builder.remote import Remote


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
    have: tuple[str, ...] = ()
    """Digests of artefacts that whoever asked has already, beside what is in `output`."""
    verify: bool = True
    """Run the specs on the image, and hand out none that one finds fault with."""
    cache_bytes: int = CACHE_BYTES
    """What the caches may hold when the build is done."""
    shared: Location | None = None
    """The cache that machines share."""


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
        _opened(choices.shared) as remote,
        open_workspace(choices.state, plan.board, wait=choices.wait) as workspace,
    ):
        workspace.log_file.unlink(missing_ok=True)
        store = Store(cache / "store", remote)
        wanted = find_rootfs(plan, workspace, store, emulation=choices.emulation, cache=cache, use=choices.rootfs)
        inputs = find_artefact_inputs(plan, choices.compression, verified=choices.verify)
        origin = {**inputs, "rootfs": wanted.key}
        made_by = workspace.room / RECORD
        if choices.rootfs != "never" and (made := find_made(made_by, origin, choices.output, choices.have)):
            log.note("the artefacts of the last build are taken: nothing has changed")
            return made
        blobs = fetch_blobs(plan, cache / "files")
        kept = make_rootfs(wanted)
        with opened_rootfs(kept, cache / "layers", workspace) as rootfs:
            image = make_image(plan, rootfs, workspace, assembler=choices.assembler, blobs=blobs)
        listing = render_packages(kept.packages)
        reports = verify_image(plan, image.path, workspace, packages=listing) if choices.verify else ()
        record = _write_record(plan, image.path, kept, workspace)
        with log.step(f"artefact: {choices.compression}"):
            artefacts = make_artefact(
                image.path,
                name=plan.image_name.removesuffix(".img"),
                compression=choices.compression,
                packages=kept.packages,
                reports=(*reports, record),
                output=choices.output,
                epoch=plan.epoch,
                journal=workspace.journal,
            )
        write_made(made_by, origin if kept.origins else {}, artefacts)
        return artefacts


def _write_record(plan: Plan, image: Path, kept: Kept, workspace: Workspace) -> Path:
    """Write down what an image was made from."""
    packages = {name: text for origin in kept.origins.values() for name, text in origin.packages.items()}
    path = workspace.scratch / f"{image.stem}{SUFFIX}"
    path.write_text(render_record(make_record(plan, sha256_file(image), packages)), encoding="utf-8")
    return path


@contextmanager
def _opened(shared: Location | None) -> Iterator[Remote | None]:
    if shared is None:
        yield None
        return
    from builder.remote import open_remote  # noqa: PLC0415 - it takes a fifth of a second, for all who do not share

    with open_remote(shared) as remote:
        yield remote


def fetch_blobs(plan: Plan, cache: Path) -> Mapping[str, Path]:
    """Fetch the boot blobs that a recipe names by URL, by digest."""
    wanted = [blob for blob in plan.disk.blobs if blob.source == "url"]
    return {blob.name: fetch(blob.location, sha256=blob.sha256, cache=cache) for blob in wanted}
