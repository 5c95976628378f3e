# SPDX-License-Identifier: MIT
"""`boardwright doctor`: find problems of this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.choices import Engine
from builder.doctor.doctor import run_doctor
from builder.errors import MachineError
from builder.verbs.options import STATE, EngineOption, Json, State
from builder.verbs.session import cli_session


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Release leftovers of interrupted builds.")] = False,
    engine: EngineOption = Engine.AUTO,
    state: State = STATE,
    json: Json = False,
) -> None:
    """Find problems of this machine: tools, Engine, loop devices, emulation, space, leftovers."""
    with cli_session(json=json, events=False):
        healthy = run_doctor(state.resolve(), engine=engine, fix=fix, json=json)
    raise typer.Exit(0 if healthy else MachineError.exit_code)
