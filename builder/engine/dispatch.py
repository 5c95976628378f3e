# SPDX-License-Identifier: MIT
"""Run a build request on this machine or in a container."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from builder import log
from builder.artefact.digest_cache import Digests
from builder.artefact.files import Artefact
from builder.choices import Engine
from builder.engine.docker.cache_access import find_access
from builder.engine.docker.connect import choose_engine
from builder.engine.docker.hand_out import PACKS
from builder.engine.docker.hand_out import REQUEST as HAND_OUT_REQUEST
from builder.engine.docker.pack import IMAGE_PACK, PACK, write_pack
from builder.engine.docker.run import run_in_docker
from builder.engine.local import install_tools
from builder.pipeline import build
from builder.plan.model import Plan
from builder.request import BuildRequest


def find_digests(output: Path, plan: Plan, digests: Digests) -> list[str]:
    """Return digests of the files in `output` that are named like the plan's artefacts.

    A build skips an artefact with one of these digests.
    """
    stem = plan.image_name.removesuffix(".img")
    return [digests.find(path) for path in sorted(output.glob(f"{glob.escape(stem)}.*")) if path.is_file()]


def build_inside(plan: Plan, request: BuildRequest, *, packs: bool) -> Sequence[Artefact]:
    """Build in this container. The image is announced before its specs run, so that it is fetched during the specs.

    packs  write packs of the artefacts
    """
    early: list[Artefact] = []

    def announce(image: Artefact) -> None:
        early.append(image)
        if packs:
            with log.step("pack the image"):
                write_pack([image.path], IMAGE_PACK)
        log.emit(log.Event("product", image.path.name, image.to_row()))

    artefacts = build(plan, request, on_product=announce)
    if packs:
        first = len(early)
        write_pack([artefact.path for artefact in artefacts[first:]], PACK, first=first)
    return artefacts


def build_on(plan: Plan, request: BuildRequest) -> Sequence[Artefact]:
    """Build on this machine or in a container. The container makes the same plan from board, version and time."""
    if choose_engine(request.engine) is Engine.LOCAL:
        install_tools(plan)
        if not HAND_OUT_REQUEST.exists():
            return build(plan, request)
        return build_inside(plan, request, packs=HAND_OUT_REQUEST.read_bytes() == PACKS)
    have = tuple(find_digests(request.output, plan, Digests(request.state)))
    return run_in_docker(request.model_copy(update={"have": have}), find_access(request.shared_cache)).artefacts
