# SPDX-License-Identifier: MIT
"""`boardwright doctor`: what is wrong with this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.doctor.doctor import run_doctor
from builder.errors import MachineError
from builder.verbs.options import STATE, Engine, EngineName, Json, State
from builder.verbs.session import telling


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Give back what interrupted builds left.")] = False,
    engine: Engine = EngineName.AUTO,
    state: State = STATE,
    json: Json = False,
) -> None:
    """Say what is wrong with this machine: tools, Engine, loop devices, emulation, space, leftovers."""
    with telling(json=False):
        healthy = run_doctor(state.resolve(), engine=engine.value, fix=fix, json=json)
    raise typer.Exit(0 if healthy else MachineError.exit_code)
