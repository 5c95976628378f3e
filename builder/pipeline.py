# SPDX-License-Identifier: MIT
"""Run the stages of a build: plan → rootfs → image → specs → artefacts. Only this module knows the order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from builder import log
from builder.artefact.build_record import SUFFIX, make_record, render_record
from builder.artefact.files import Artefact, finish_artefact, open_partial, render_packages
from builder.artefact.reuse import RECORD, find_artefact_inputs, find_made, write_made
from builder.cache.store import Store
from builder.cache.usage import in_use, shrink
from builder.choices import Assembler, RootfsUse
from builder.image.assemble import make_image
from builder.net.download import fetch
from builder.net.location import Location
from builder.plan.model import Plan
from builder.request import BuildRequest
from builder.rootfs.make import make_rootfs, resolve_rootfs
from builder.rootfs.stored_tree import StoredTree, open_rootfs
from builder.system.workspace import Workspace, open_workspace
from builder.units import render_size
from builder.verify.verify import verifying

if TYPE_CHECKING:
    from builder.cache.remote import Remote


def build(
    plan: Plan, request: BuildRequest, *, on_product: Callable[[Artefact], None] | None = None
) -> tuple[Artefact, ...]:
    """Build the image of a plan and return the artefacts. Only these and the board's room stay on the disk.

    on_product  called with the finished image, compressed or not, before its specs end; its path is not the final one.
                If given, files are not synced, because the caller copies the artefacts to another disk.
    """
    for warning in plan.warnings:
        log.warn(warning)
    artefacts = _build(plan, request, on_product)
    removed = shrink(request.state, request.max_size)
    if removed:
        size = render_size(sum(item.size_bytes for item in removed))
        log.note(f"the caches exceeded {render_size(request.max_size)}: removed {size}, least recently used first")
    return artefacts


def _build(plan: Plan, request: BuildRequest, on_product: Callable[[Artefact], None] | None) -> tuple[Artefact, ...]:
    cache = request.state / "cache"
    with (
        in_use(request.state),
        _open_shared(request.shared_cache) as remote,
        open_workspace(request.state, plan.board, wait=request.wait) as workspace,
    ):
        workspace.log_file.unlink(missing_ok=True)
        store = Store(cache / "store", remote)
        rootfs_request = resolve_rootfs(
            plan, workspace, store, emulation=request.emulation, cache=cache, use=request.rootfs
        )
        inputs = find_artefact_inputs(plan, request.compress, verified=request.verify)
        origin = {**inputs, "rootfs": rootfs_request.key}
        record = workspace.room / RECORD
        if request.rootfs is not RootfsUse.NEVER and (
            reused := find_made(record, origin, request.output, request.have)
        ):
            log.note("nothing changed: reusing the artefacts of the last build")
            return reused
        blobs = fetch_blobs(plan, cache / "files")
        stored = make_rootfs(rootfs_request)
        name = plan.image_name.removesuffix(".img")
        with open_partial(request.output, name, workspace.journal) as partial:
            with open_rootfs(stored, cache / "layers", workspace) as rootfs:
                image = make_image(
                    plan,
                    rootfs,
                    workspace,
                    assembler=request.assembler,
                    blobs=blobs,
                    # A loop device knows its file by inode number, which differs in a container's layer.
                    directory=partial
                    if request.compress == "none" and request.assembler is not Assembler.LOOP
                    else None,
                )
            artefacts = _finish(
                plan, image.path, stored, workspace, request=request, partial=partial, on_product=on_product
            )
        write_made(record, origin if stored.origins else {}, artefacts)
        return artefacts


def _finish(
    plan: Plan,
    image: Path,
    stored: StoredTree,
    workspace: Workspace,
    *,
    request: BuildRequest,
    partial: Path,
    on_product: Callable[[Artefact], None] | None,
) -> tuple[Artefact, ...]:
    """Make the artefacts of an image while its specs run; raise VerifyError if one fails."""
    listing = render_packages(stored.packages)
    with ExitStack() as stack:
        verified: Callable[[str], Sequence[Path]] = lambda _: ()  # noqa: E731
        if request.verify:
            verified = stack.enter_context(verifying(plan, image, workspace, packages=listing))

        def report(digest: str) -> Sequence[Path]:
            return (*verified(digest), _write_record(plan, image, digest, stored, workspace))

        with log.step(f"artefact: {request.compress}"):
            return finish_artefact(
                image,
                partial,
                name=plan.image_name.removesuffix(".img"),
                compression=request.compress,
                packages=stored.packages,
                reports=report,
                on_product=on_product,
                output=request.output,
                epoch=plan.epoch,
            )


def _write_record(plan: Plan, image: Path, digest: str, stored: StoredTree, workspace: Workspace) -> Path:
    """Write the build record of an image."""
    packages = {name: text for origin in stored.origins.values() for name, text in origin.packages.items()}
    path = workspace.scratch / f"{image.stem}{SUFFIX}"
    path.write_text(render_record(make_record(plan, digest, packages)), encoding="utf-8")
    return path


@contextmanager
def _open_shared(shared: Location | None) -> Iterator[Remote | None]:
    if shared is None:
        yield None
        return
    from builder.cache.remote import open_remote  # noqa: PLC0415 - it takes 0.2 s, and most builds do not need it

    with open_remote(shared) as remote:
        yield remote


def fetch_blobs(plan: Plan, cache: Path) -> Mapping[str, Path]:
    """Download the boot blobs that a recipe names by URL and digest."""
    blobs = [blob for blob in plan.disk.blobs if blob.source == "url"]
    return {blob.name: fetch(blob.location, sha256=blob.sha256, cache=cache) for blob in blobs}
