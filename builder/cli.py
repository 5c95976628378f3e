# SPDX-License-Identifier: MIT
"""The command line: a table of verbs, each imported when it is called. Results go to stdout, all else to stderr.

`--help` and `--version` import no verb, and a verb imports only what it needs itself: a command starts as fast as its
own module does. tests/test_start.py compares the table with the verbs, and holds what a command may import.
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
    """A row of the table: where the verb is (module:name), its help text as it stands there, its group in --help."""

    place: str
    text: str
    group: str


BUILD, PROVE, SHIP, MAINTAIN = "Build", "Prove", "Ship", "Maintain"
VERBS = {
    "build": Verb(
        "builder.verbs.build:build",
        "Build images: dist/boardwright-BOARD-VERSION.img.zst of each board, its checksum and its list of packages.",
        BUILD,
    ),
    "plan": Verb(
        "builder.verbs.plan:plan", "Show every decision of a build. Needs no root, no network, no Docker.", BUILD
    ),
    "boards": Verb(
        "builder.verbs.boards:show_boards",
        "List the boards: title, architecture, how far each was proved, whose blobs it needs, features.",
        BUILD,
    ),
    "new-board": Verb("builder.verbs.new_board:new_board", "Make a board's directory that plans at once.", BUILD),
    "schema": Verb("builder.verbs.schema:schema", "Print the JSON Schema of board.yaml, for editors.", BUILD),
    "shell": Verb(
        "builder.verbs.shell:shell",
        "Open a shell in the rootfs of a board's last build. Changes are thrown away.",
        BUILD,
    ),
    "verify": Verb(
        "builder.verbs.verify:verify",
        "Run the specs on an image and print what they found; exit code 10 when one is red. Or check a release.",
        PROVE,
    ),
    "boot": Verb(
        "builder.verbs.boot:boot",
        "Boot a copy of an image in QEMU, its console on this terminal. Nothing of the copy is kept.",
        PROVE,
    ),
    "package": Verb(
        "builder.verbs.package:package",
        "Make of each image a directory with all that goes out with it; print the directories.",
        SHIP,
    ),
    "release": Verb(
        "builder.verbs.release:release",
        "Release packaged images: upload them to all targets, then show them to everybody, then move channels.",
        SHIP,
    ),
    "fetch": Verb(
        "builder.verbs.fetch:fetch",
        "Download the newest released image of a board, check it, and print where it is.",
        SHIP,
    ),
    "doctor": Verb(
        "builder.verbs.doctor:doctor",
        "Say what is wrong with this machine: tools, Engine, loop devices, emulation, space, leftovers.",
        MAINTAIN,
    ),
    "cache": Verb("builder.verbs.cache:caches", "Look at what is kept to save time, or make it smaller.", MAINTAIN),
    "ci": Verb("builder.verbs.ci:ci", "Let a CI system build, prove and release the boards of a repository.", MAINTAIN),
}
"""The verbs in the order of --help."""
HIDDEN = {"run": Verb("builder.verbs.run:run", "Run a build request; its events are printed as JSON, one a line.", "")}
"""Verbs that this program calls itself."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from imports: it takes a tenth of their time, and modules are no garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # It need not look at them later either, nor at the end of the process.
        gc.enable()


class LazyCommand(TyperCommand):
    """A verb as --help lists it. It imports the verb when the verb is called, and hands the call over."""

    def __init__(self, name: str, place: str, text: str, group: str = "") -> None:
        super().__init__(name, help=text, rich_help_panel=group or None, hidden=not group)
        self.place = place

    def load(self) -> Any:
        """Return the command, or the group of commands, that does the work; its class is typer's own affair.

        Newer typer has its own copy of click inside, older typer uses click: neither's types can be named here.
        """
        module, _, attribute = self.place.partition(":")
        with _uncollected():
            verb = getattr(import_module(module), attribute)
        holder = typer.Typer(pretty_exceptions_enable=False)
        if isinstance(verb, typer.Typer):
            holder.add_typer(verb, name=self.name)
        else:
            holder.command(self.name)(verb)
        return get_group(holder).commands[str(self.name)]

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Return the context of the command that does the work: from here on typer deals with that one."""
        return self.load().make_context(*args, **extra)


class Verbs(TyperGroup):
    """The group of all verbs, none of them imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, verb in (VERBS | HIDDEN).items():
            self.add_command(LazyCommand(name, *verb))


app = typer.Typer(
    cls=Verbs,
    help="Builds operating-system images for single-board computers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
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
    """Run the command line; every BoardwrightError becomes a message and its exit code."""
    try:
        code = _run()
    except BoardwrightError as error:
        if not error.is_shown:
            from builder.verbs.session import show_error  # noqa: PLC0415 - --help and --version do not need it

            show_error(error)
        code = error.exit_code
    sys.exit(code)


def _run() -> int:
    """Run the command line and return its exit code; SpaceError or ToolError where its result cannot be written."""
    if sys.stdout is None:
        raise ToolError("stdout is closed: the result has nowhere to go", hint="send it to a file, or to /dev/null")
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest at its end.
        if error.errno == errno.EPIPE:
            return 1
        sys.stdout = None  # as where there is none: an error is then told on stderr
        raise SpaceError("the result cannot be written: the disk behind stdout is full", hint=DISK_FULL_HINT) from None
    return code
