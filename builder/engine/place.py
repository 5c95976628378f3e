# SPDX-License-Identifier: MIT
"""Where a build runs: here, or as the same command in a container."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.engine.connect import Wanted, choose_engine
from builder.engine.docker import Request, run_in_docker
from builder.engine.local import install_tools
from builder.pipeline import Choices, build
from builder.plan.model import Plan
from builder.release.artefact import Artefact


def build_on(engine: Wanted, plan: Plan, choices: Choices, *, boards: Path) -> Sequence[Artefact]:
    """Build here or in a container; the container plans again, from the same board, version and time."""
    if choose_engine(engine) == "local":
        install_tools(plan)
        return build(plan, choices)
    options = (
        *("--version", plan.version, "--epoch", str(plan.epoch)),
        *("--assembler", choices.assembler, "--compress", choices.compression, "--emulation", choices.emulation),
        *(["--no-wait"] if not choices.wait else []),
        *{"current": (), "asked": ("--reuse-rootfs",), "never": ("--no-cache",)}[choices.rootfs],
        *([] if choices.verify else ["--no-verify"]),
        *("--max-size", str(choices.cache_bytes)),
    )
    inputs = {"--user-data": plan.user_data} if plan.user_data else {}
    request = Request(plan.board, boards, choices.state, choices.output, options, inputs)
    return run_in_docker(request).artefacts
