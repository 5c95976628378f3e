# SPDX-License-Identifier: MIT
"""Find problems of this machine, and leftovers of interrupted builds on it and in the Engine.

`examine` changes nothing. `give_back` releases our resources if the process that held them has ended. These are
resources in a journal below the state directory and containers whose labels name such a journal. Loop devices attached
to a file below the state directory are ours too. The same program examines the Engine's volume, in a container that has
it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from docker import APIClient
from rich.text import Text

from builder import log
from builder.choices import Engine
from builder.doctor.machine import (
    examine_kernel,
    examine_leftovers,
    examine_loop,
    examine_root,
    examine_space,
    examine_tools,
    release_stray_loops,
)
from builder.engine.docker.answers import load_findings
from builder.engine.docker.builder_image import REPOSITORY
from builder.engine.docker.connect import engine_errors, find_local_obstacle, open_engine
from builder.engine.docker.container import VOLUME, find_orphans, give_back_leftovers, remove
from builder.engine.docker.query import ask_inside, has_volume
from builder.engine.finding import Finding
from builder.errors import BoardwrightError, MachineError
from builder.system.trusted_state import of_ours
from builder.system.workspace import RELEASERS, find_leftovers, release
from builder.text import SafeConsole, TextTable, dump_json

IN_VOLUME = ("space", "leftovers", "loop devices")
"""Areas of a container's findings that are about the volume."""


def run_doctor(state: Path, *, engine: Engine = Engine.AUTO, fix: bool = False, json: bool = False) -> bool:
    """Release leftovers if `fix`, examine, print the findings; return whether there is no problem."""
    if fix:
        give_back(state, engine=engine)
    findings = examine(state, engine=engine)
    if json:
        sys.stdout.write(render_json(findings) + "\n")
    else:
        SafeConsole().print(render_table(findings))
    return all(finding.ok for finding in findings)


def examine(state: Path, *, engine: Engine = Engine.AUTO, volume: str = VOLUME) -> list[Finding]:
    """Return the findings about this machine and its Engine, and leftovers in both."""
    if engine == Engine.LOCAL:
        return _examine_here(state, needed=True)
    try:
        with open_engine() as api:
            return [*_examine_engine(api), *_examine_here(state, needed=False), *_examine_inside(api, state, volume)]
    except MachineError as error:
        return [_render_no_engine(error, engine), *_examine_here(state, needed=True)]


def give_back(state: Path, *, engine: Engine = Engine.AUTO, volume: str = VOLUME) -> None:
    """Release the leftovers of dead builds: containers first, then in the volume, then on this machine."""
    if engine != Engine.LOCAL:
        try:
            with open_engine() as api:
                _give_back_in_engine(api, state, volume)
        except MachineError as error:
            log.note(f"containers are not checked: {error.message}")
    for leftovers in find_leftovers(state):
        if all(held.kind in RELEASERS for held in leftovers.held):
            release(leftovers, of_ours(RELEASERS))
    release_stray_loops(state)


def render_table(findings: Sequence[Finding]) -> TextTable:
    """Return the findings as a table."""
    table = TextTable("", "Area", "Finding", "What to do")
    for finding in findings:
        mark = Text("✓", style="green") if finding.ok else Text("✗", style="red")
        table.add_row(mark, finding.area, finding.text, "" if finding.ok else finding.fix)
    return table


def render_json(findings: Sequence[Finding]) -> str:
    """Return the findings as JSON."""
    return dump_json([asdict(finding) for finding in findings], indent=2)


def _examine_here(state: Path, *, needed: bool) -> list[Finding]:
    """Examine this machine; `needed`: builds run here and not in a container."""
    local = [*examine_root(), *examine_tools(), *examine_loop(), *examine_kernel()] if needed else []
    return [*local, *examine_space(state), *examine_leftovers(state)]


def _examine_engine(api: APIClient) -> list[Finding]:
    with engine_errors("asking for its version"):
        version = api.version()
    text = f"Docker Engine {version['Version']} on {version['Os']}/{version['Arch']}, {api.base_url}"
    return [Finding("engine", True, text), *examine_kernel(version["KernelVersion"])]


def _render_no_engine(error: MachineError, engine: Engine) -> Finding:
    """Return the finding for an unusable Engine; it is ok if builds can run on this machine instead."""
    if engine == Engine.AUTO and not find_local_obstacle():
        return Finding("engine", True, f"{error.message}; builds run on this machine", error.hint)
    return Finding("engine", False, error.message, error.hint)


def _examine_inside(api: APIClient, state: Path, volume: str) -> list[Finding]:
    orphans = [
        Finding("containers", False, f"{name} has no living owner", "boardwright doctor --fix")
        for name in find_orphans(api, state)
    ]
    if not has_volume(api, volume) or not api.images(name=REPOSITORY):
        return orphans  # Nothing was ever built here; the builder image would take minutes to make.
    try:
        inside = load_findings(_ask_inside(api, state, volume, fix=False))
    except BoardwrightError as error:
        problem = f"{volume} cannot be examined: {error.message}"
        return [*orphans, Finding("volume", False, problem, "build once, then try again")]
    return [*orphans, *(_in_volume(finding, volume) for finding in inside if finding.area in IN_VOLUME)]


def _in_volume(finding: Finding, volume: str) -> Finding:
    return Finding(finding.area, finding.ok, f"volume {volume}: {finding.text}", finding.fix)


def _give_back_in_engine(api: APIClient, state: Path, volume: str) -> None:
    give_back_leftovers(api, state)
    for name in find_orphans(api, state):
        log.note(f"removing the container {name}")
        remove(api, name)
    if has_volume(api, volume):
        _ask_inside(api, state, volume, fix=True)


def _ask_inside(api: APIClient, state: Path, volume: str, *, fix: bool) -> str:
    """Return the doctor's JSON from a container that has the volume."""
    argv = ("doctor", *(["--fix"] if fix else []))
    return ask_inside(api, state, argv, volume=volume, ok=(0, MachineError.exit_code))
