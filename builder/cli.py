# SPDX-License-Identifier: MIT
"""Command line entry point: a table of verbs. Results go to stdout, log messages to stderr.

A verb is imported when it is called, with only the libraries that it needs; `--help` and `--version` import none. So
each command starts fast. tests/test_start.py compares the table with the verbs and limits the imports of a command.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from builder import __version__
from builder.errors import DISK_FULL_HINT, BoardwrightError, SpaceError, ToolError


class Verb(NamedTuple):
    """A row of the table: location of the verb (module:name), its help text, its group in --help."""

    location: str
    text: str
    group: str


BUILD, PROVE, SHIP, MAINTAIN = "Build", "Prove", "Ship", "Maintain"
VERBS = {
    "build": Verb(
        "builder.verbs.build:build",
        "Build images: dist/boardwright-BOARD-VERSION.img.zst of each board, with checksum and list of packages.",
        BUILD,
    ),
    "plan": Verb(
        "builder.verbs.plan:plan", "Show every decision of a build. Needs no root, no network, no Docker.", BUILD
    ),
    "boards": Verb(
        "builder.verbs.boards:show_boards",
        "List the boards: title, architecture, how far each was tested, vendor blobs, features.",
        BUILD,
    ),
    "new-board": Verb(
        "builder.verbs.new_board:new_board", "Make the directory of a new board, which can be planned at once.", BUILD
    ),
    "schema": Verb("builder.verbs.schema:schema", "Print the JSON Schema of board.yaml, for editors.", BUILD),
    "shell": Verb(
        "builder.verbs.shell:shell",
        "Open a shell in the rootfs of a board's last build. Changes are discarded.",
        BUILD,
    ),
    "verify": Verb(
        "builder.verbs.verify:verify",
        "Run the specs on an image and print the results; exit code 10 if one fails. Or check a release.",
        PROVE,
    ),
    "boot": Verb(
        "builder.verbs.boot:boot",
        "Boot a copy of an image in QEMU, with its console on this terminal. The copy is deleted afterwards.",
        PROVE,
    ),
    "package": Verb(
        "builder.verbs.package:package",
        "Make a directory of each image with all files to publish; print the directories.",
        SHIP,
    ),
    "release": Verb(
        "builder.verbs.release:release",
        "Release packaged images: upload them to all targets, then make them public, then update the channels.",
        SHIP,
    ),
    "fetch": Verb(
        "builder.verbs.fetch:fetch",
        "Download the newest released image of a board, check it, and print its path.",
        SHIP,
    ),
    "doctor": Verb(
        "builder.verbs.doctor:doctor",
        "Find problems of this machine: tools, Engine, loop devices, emulation, space, leftovers.",
        MAINTAIN,
    ),
    "cache": Verb("builder.verbs.cache:caches", "List the caches, or make them smaller.", MAINTAIN),
    "ci": Verb("builder.verbs.ci:ci", "Let a CI system build, test and release the boards of a repository.", MAINTAIN),
}
"""The verbs in the order of --help."""
HIDDEN = {"run": Verb("builder.verbs.run:run", "Run a build request; print its events as JSON, one per line.", "")}
"""Verbs that only this program itself calls."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Disable the garbage collector during imports: it takes a tenth of their time and finds no garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # It skips the imported objects later, too, also at the end of the process.
        gc.enable()


class LazyCommand(TyperCommand):
    """A verb in the list of --help; it imports the real command when it is called, and passes the call on."""

    def __init__(self, name: str, location: str, text: str, group: str = "") -> None:
        super().__init__(name, help=text, rich_help_panel=group or None, hidden=not group)
        self.location = location

    def load(self) -> Any:
        """Import and return the real command or group of commands.

        Its type is Any: newer typer has its own copy of click, older typer uses click itself.
        """
        module, _, attribute = self.location.partition(":")
        with _uncollected():
            verb = getattr(import_module(module), attribute)
        holder = typer.Typer(pretty_exceptions_enable=False)
        if isinstance(verb, typer.Typer):
            holder.add_typer(verb, name=self.name)
        else:
            holder.command(self.name)(verb)
        return get_group(holder).commands[str(self.name)]

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Return the context of the real command, which typer then runs."""
        return self.load().make_context(*args, **extra)


class Verbs(TyperGroup):
    """The group of all verbs, without an import of any."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, verb in (VERBS | HIDDEN).items():
            self.add_command(LazyCommand(name, *verb))


app = typer.Typer(
    cls=Verbs,
    help="Build operating-system images for single-board computers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_given: bool) -> None:
    if is_given:
        typer.echo(f"boardwright {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line; print a BoardwrightError as a message and exit with its code."""
    try:
        code = _run()
    except BoardwrightError as error:
        if not error.is_shown:
            from builder.verbs.session import show_error  # noqa: PLC0415 - --help and --version do not need it

            show_error(error)
        code = error.exit_code
    sys.exit(code)


def _run() -> int:
    """Run the command line and return its exit code; SpaceError or ToolError if its result cannot be written."""
    if sys.stdout is None:
        raise ToolError("stdout is closed; expected an open file for the result", hint="redirect it, or use /dev/null")
    if "BOARDWRIGHT_PROXIES" in os.environ:  # In a container.
        from builder.system.proxy import take_proxies  # noqa: PLC0415 - it takes time to load

        take_proxies()
    try:
        try:
            app()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes the rest at exit.
        if error.errno == errno.EPIPE:
            return 1
        sys.stdout = None  # As if stdout were closed, so that the error goes to stderr.
        raise SpaceError("the result cannot be written: the disk behind stdout is full", hint=DISK_FULL_HINT) from None
    return code
