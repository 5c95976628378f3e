# SPDX-License-Identifier: MIT
"""The images that builds and boots run in, stages of Dockerfile.builder, made when one of its inputs changed.

The one for boots has QEMU and firmware besides, and is made when a container boots something for the first time. The
tag of each is the digest of everything it is made from: the Dockerfile, the files of the `builder` package and of
the specs, and the id of the base image. An image of that tag is used as it is; after a new one was made the older ones
are removed. The context is made in memory and holds only those files, so a stray file in the checkout changes nothing.
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
"""How old an image without a name must be to be removed: a younger one may be a step of a build that runs now."""
KEPT = 4
"""How many images of other inputs stay, of each stage."""


def make_builder_image(api: APIClient) -> str:
    """Return the name of the builder image, built now if there is none for today's inputs.

    Raises MachineError (no sources to build from, no base), DownloadError and ToolError (a step failed).
    """
    return _make(api, REPOSITORY, "builder")


def make_boot_image(api: APIClient) -> str:
    """Return the name of the image that has QEMU too, built now if there is none; raises as make_builder_image."""
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
    """Return the files of the context by their path in it."""
    dockerfile = package.parent / "Dockerfile.builder"
    if not dockerfile.is_file():
        raise MachineError(
            f"{dockerfile} is missing: the builder image is made from a checkout",
            hint="clone the repository and install with `pip install --editable .`, or use --engine local",
        )
    trees = (package, package.parent / "specs")
    found = (path for tree in trees for path in sorted(tree.rglob("*")))
    sources = (path for path in found if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(package.parent).as_posix(): path.read_bytes() for path in (dockerfile, *sources)}


def _digest(files: Mapping[str, bytes], base: Base) -> str:
    state = hashlib.sha256(base.id.encode())
    for name, content in files.items():
        state.update(f"\0{name}\0{len(content)}\0".encode())
        state.update(content)
    return state.hexdigest()[:16]


def _context(files: Mapping[str, bytes]) -> io.BytesIO:
    """The same files give the same bytes: no times, no owners."""
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
        log.warn("while the builder image is made, all users of the Engine can read the password of the proxy")
    with log.step(f"make the {stage} image"):
        said: list[str] = []
        for news in _start_build(api, name, stage, files, base):
            if "error" in news:
                tail = "\n".join(f"  | {text}" for text in said[-LAST_LINES:])
                raise ToolError(
                    f"the {stage} image could not be made: {str(news['error']).strip()}; its last lines:\n{tail}",
                    hint=f"to see it again: docker build --target {stage} --build-arg BASE={base.name} "
                    "--file Dockerfile.builder .",
                )
            for text in str(news.get("stream") or news.get("status") or "").splitlines():
                if text.strip():
                    said.append(text)
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
    """Remove images of the same stage and other inputs but the newest few, and what failed builds left.

    Another checkout may be about to start a container from one of those few; they share all layers but the last.
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
    except APIError as error:  # Another build prunes at this moment: the Engine does one at a time.
        log.note(f"images of unfinished builds stay for now: {error.explanation}")
