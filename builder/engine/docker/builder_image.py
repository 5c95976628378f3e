# SPDX-License-Identifier: MIT
"""Make the images for builds and boots: stages of Dockerfile.builder, made again when an input changes.

The image for boots also has QEMU and firmware; it is made at the first boot in a container. The tag of an image is the
digest of all inputs. These are the Dockerfile, the files of the `builder` package and of the specs, and the id of the
base image. An image with that tag is reused. When a new one is made, older ones are removed. The build context is made
in memory and has only those files, so other files in the checkout have no effect.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, ImageNotFound

import builder
from builder import log
from builder.engine.docker.base_image import Base, make_base
from builder.engine.docker.connect import engine_errors
from builder.errors import MachineError, ToolError
from builder.system.proxy import find_hosts, has_password, pass_proxies

REPOSITORY = "boardwright-builder"
BOOT_REPOSITORY = "boardwright-boot"
LABEL = "boardwright.image=builder"
LAST_LINES = 15
UNFINISHED = "1h"
"""Minimum age of an image without a name to be removed; a younger one may belong to a running build."""
KEPT = 4
"""Number of older images to keep, for each stage."""


def make_builder_image(api: APIClient) -> str:
    """Return the name of the builder image; build it if the Engine has no image for the current inputs.

    Raises MachineError (no sources, no base image), DownloadError and ToolError (a step failed).
    """
    return _make(api, REPOSITORY, "builder")


def make_boot_image(api: APIClient) -> str:
    """Return the name of the image with QEMU; build it if it does not exist. Raises as `make_builder_image` does."""
    return _make(api, BOOT_REPOSITORY, "boot")


def _make(api: APIClient, repository: str, stage: str) -> str:
    files = _find_inputs(Path(builder.__file__).resolve().parent)
    base = make_base(api)
    name = f"{repository}:{_digest(files, base)}"
    with engine_errors(f"looking for the {stage} image"):
        try:
            api.inspect_image(name)  # type: ignore[no-untyped-call]
        except ImageNotFound:
            _build(api, name, stage, files, base)
            _remove_older(api, name)
    return name


def _find_inputs(package: Path) -> dict[str, bytes]:
    """Return the files of the build context by path."""
    dockerfile = package.parent / "Dockerfile.builder"
    if not dockerfile.is_file():
        raise MachineError(
            f"{dockerfile} is missing; the builder image is made from a checkout",
            hint="clone the repository and install with `pip install --editable .`, or use --engine local",
        )
    trees = (package, package.parent / "specs")
    paths = (path for tree in trees for path in sorted(tree.rglob("*")))
    sources = (path for path in paths if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(package.parent).as_posix(): path.read_bytes() for path in (dockerfile, *sources)}


def _digest(files: Mapping[str, bytes], base: Base) -> str:
    state = hashlib.sha256(base.id.encode())
    for name, content in files.items():
        state.update(f"\0{name}\0{len(content)}\0".encode())
        state.update(content)
    return state.hexdigest()[:16]


def _context(files: Mapping[str, bytes]) -> io.BytesIO:
    """Return the context as a tar file without times and owners, so that the same files give the same bytes."""
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream


def _build(api: APIClient, name: str, stage: str, files: Mapping[str, bytes], base: Base) -> None:
    if has_password():
        log.warn("while the builder image is built, all users of the Engine can read the password of the proxy")
    with log.step(f"make the {stage} image"):
        lines: list[str] = []
        for news in _start_build(api, name, stage, files, base):
            if "error" in news:
                tail = "\n".join(f"  | {text}" for text in lines[-LAST_LINES:])
                raise ToolError(
                    f"the {stage} image could not be made: {str(news['error']).strip()}; its last lines:\n{tail}",
                    hint=f"to see it again: docker build --target {stage} --build-arg BASE={base.name} "
                    "--file Dockerfile.builder .",
                )
            for text in str(news.get("stream") or news.get("status") or "").splitlines():
                if text.strip():
                    lines.append(text)
                    log.line(text)


def _start_build(
    api: APIClient, name: str, stage: str, files: Mapping[str, bytes], base: Base
) -> Iterator[dict[str, Any]]:
    news: Iterator[dict[str, Any]] = api.build(
        fileobj=_context(files),
        custom_context=True,
        dockerfile="Dockerfile.builder",
        target=stage,
        tag=name,
        buildargs={"BASE": base.name, **pass_proxies()},
        extra_hosts=dict(host.split(":") for host in find_hosts()),
        rm=True,
        forcerm=True,
        decode=True,
    )
    return news


def _remove_older(api: APIClient, name: str) -> None:
    """Remove older images of the same stage, and images of failed builds. The newest KEPT images stay.

    Another checkout may be about to start a container from one of these; they share all layers except the last.
    """
    others = sorted(api.images(name=name.rpartition(":")[0]), key=lambda image: int(image["Created"]), reverse=True)
    tags = [tag for image in others for tag in image["RepoTags"] or () if tag != name]
    for tag in tags[KEPT:]:
        try:
            api.remove_image(tag)
        except APIError as error:
            log.note(f"{tag} stays for now: {error.explanation}")
    try:
        api.prune_images(filters={"dangling": True, "label": LABEL, "until": UNFINISHED})  # type: ignore[no-untyped-call]
    except APIError as error:  # Another build prunes now; the Engine allows only one.
        log.note(f"images of unfinished builds stay for now: {error.explanation}")
