# SPDX-License-Identifier: MIT
"""Where a build runs: here, or as the same command in a container."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from builder import log
from builder.artefact.digest_cache import Digests
from builder.artefact.files import Artefact
from builder.engine.docker.cache_access import hand_over
from builder.engine.docker.connect import Wanted, choose_engine
from builder.engine.docker.hand_out import PACKS
from builder.engine.docker.hand_out import REQUEST as HAND_OUT_REQUEST
from builder.engine.docker.pack import IMAGE_PACK, PACK, write_pack
from builder.engine.docker.run import Request, run_in_docker
from builder.engine.local import install_tools
from builder.pipeline import Choices, build
from builder.plan.model import Plan


def find_digests(output: Path, plan: Plan, digests: Digests) -> list[str]:
    """Return the digests of files in `output` that have the names of the plan's artefacts: they need not be made or
    fetched when nothing has changed."""
    stem = plan.image_name.removesuffix(".img")
    return [digests.find(path) for path in sorted(output.glob(f"{glob.escape(stem)}.*")) if path.is_file()]


def render_options(version: str, epoch: int, choices: Choices) -> tuple[str, ...]:
    """Return the options by which another call of this program builds as this one would."""
    return (
        *("--version", version, "--epoch", str(epoch)),
        *("--assembler", choices.assembler, "--compress", choices.compression, "--emulation", choices.emulation),
        *(["--no-wait"] if not choices.wait else []),
        *{"current": (), "asked": ("--reuse-rootfs",), "never": ("--no-cache",)}[choices.rootfs],
        *([] if choices.verify else ["--no-verify"]),
        *("--max-size", str(choices.cache_bytes)),
    )


def build_inside(plan: Plan, choices: Choices, *, packs: bool) -> Sequence[Artefact]:
    """Build in this container: announce the image while its specs run, so that it is fetched meanwhile.

    packs  make packs of the artefacts
    """
    early: list[Artefact] = []

    def announce(image: Artefact) -> None:
        early.append(image)
        if packs:
            with log.step("pack the image"):
                write_pack([image.path], IMAGE_PACK)
        log.emit(log.Event("product", image.path.name, image.to_row()))

    artefacts = build(plan, replace(choices, on_product=announce))
    if packs:
        first = len(early)
        write_pack([artefact.path for artefact in artefacts[first:]], PACK, first=first)
    return artefacts


def build_on(engine: Wanted, plan: Plan, choices: Choices, *, boards: Path) -> Sequence[Artefact]:
    """Build here or in a container; the container plans again, from the same board, version and time."""
    if choose_engine(engine) == "local":
        install_tools(plan)
        if not HAND_OUT_REQUEST.exists():
            return build(plan, choices)
        return build_inside(plan, choices, packs=HAND_OUT_REQUEST.read_bytes() == PACKS)
    handed = hand_over(choices.shared)
    have = (
        word for digest in find_digests(choices.output, plan, Digests(choices.state)) for word in ("--have", digest)
    )
    options = (*render_options(plan.version, plan.epoch, choices), *have, *handed.options)
    inputs = {"--user-data": plan.user_data} if plan.user_data else {}
    request = Request(
        plan.board,
        boards,
        choices.state,
        choices.output,
        options,
        inputs,
        environment=handed.environment,
        secrets=handed.secrets,
        hosts=handed.hosts,
    )
    return run_in_docker(request).artefacts
