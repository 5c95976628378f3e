# SPDX-License-Identifier: MIT
"""The chain: plan → rootfs → image → specs → artefacts. Only this module knows the order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builder import log
from builder.artefact.build_record import SUFFIX, make_record, render_record
from builder.artefact.files import Artefact, Compression, finish_artefact, open_partial, render_packages
from builder.artefact.reuse import RECORD, find_artefact_inputs, find_made, write_made
from builder.cache.store import Store
from builder.cache.usage import CACHE_BYTES, in_use, shrink
from builder.image.assemble import make_image
from builder.net.download import fetch
from builder.net.location import Location
from builder.plan.model import Plan
from builder.rootfs.make import Use, find_rootfs, make_rootfs
from builder.rootfs.stored_tree import Kept, opened_rootfs
from builder.system.workspace import Workspace, open_workspace
from builder.units import render_size
from builder.verify.verify import verifying

if TYPE_CHECKING:
    from builder.cache.remote import Remote


@dataclass(frozen=True)
class Choices:
    """How to build: what changes the way, not the image."""

    state: Path
    """Directory of rooms, journals and caches."""
    output: Path
    """Directory of finished artefacts."""
    assembler: Literal["auto", "loop", "offline"] = "auto"
    compression: Compression = Compression.ZST
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
    on_product: Callable[[Artefact], None] | None = None
    """Called with the finished image, compressed or not, while the specs still run; its place is not the final one.
    Who gives one takes the artefacts to another disk."""


def build(plan: Plan, choices: Choices) -> tuple[Artefact, ...]:
    """Build everything a plan says and return the artefacts; nothing else is left but the board's room."""
    for warning in plan.warnings:
        log.warn(warning)
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
        name = plan.image_name.removesuffix(".img")
        with open_partial(choices.output, name, workspace.journal) as partial:
            with opened_rootfs(kept, cache / "layers", workspace) as rootfs:
                image = make_image(
                    plan,
                    rootfs,
                    workspace,
                    assembler=choices.assembler,
                    blobs=blobs,
                    # A loop device knows its file by an inode number, which in a container's layer is not the kernel's.
                    directory=partial if choices.compression == "none" and choices.assembler != "loop" else None,
                )
            artefacts = _finish(plan, image.path, kept, workspace, choices=choices, partial=partial)
        write_made(made_by, origin if kept.origins else {}, artefacts)
        return artefacts


def _finish(
    plan: Plan, image: Path, kept: Kept, workspace: Workspace, *, choices: Choices, partial: Path
) -> tuple[Artefact, ...]:
    """Make the artefacts of an image, while the specs run on it; hand out none unless all specs are green."""
    listing = render_packages(kept.packages)
    with ExitStack() as stack:
        verified: Callable[[str], Sequence[Path]] = lambda _: ()  # noqa: E731
        if choices.verify:
            verified = stack.enter_context(verifying(plan, image, workspace, packages=listing))

        def report(digest: str) -> Sequence[Path]:
            return (*verified(digest), _write_record(plan, image, digest, kept, workspace))

        with log.step(f"artefact: {choices.compression}"):
            return finish_artefact(
                image,
                partial,
                name=plan.image_name.removesuffix(".img"),
                compression=choices.compression,
                packages=kept.packages,
                reports=report,
                on_product=choices.on_product,
                output=choices.output,
                epoch=plan.epoch,
            )


def _write_record(plan: Plan, image: Path, digest: str, kept: Kept, workspace: Workspace) -> Path:
    """Write down what an image was made from."""
    packages = {name: text for origin in kept.origins.values() for name, text in origin.packages.items()}
    path = workspace.scratch / f"{image.stem}{SUFFIX}"
    path.write_text(render_record(make_record(plan, digest, packages)), encoding="utf-8")
    return path


@contextmanager
def _opened(shared: Location | None) -> Iterator[Remote | None]:
    if shared is None:
        yield None
        return
    from builder.cache.remote import open_remote  # noqa: PLC0415 - it takes a fifth of a second, for all who do not share

    with open_remote(shared) as remote:
        yield remote


def fetch_blobs(plan: Plan, cache: Path) -> Mapping[str, Path]:
    """Fetch the boot blobs that a recipe names by URL, by digest."""
    wanted = [blob for blob in plan.disk.blobs if blob.source == "url"]
    return {blob.name: fetch(blob.location, sha256=blob.sha256, cache=cache) for blob in wanted}
