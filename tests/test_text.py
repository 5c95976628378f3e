# SPDX-License-Identifier: MIT
"""What strangers wrote is seen, not obeyed: by terminals, by CI systems, in every place that prints."""

from __future__ import annotations

import ast
import io
import json
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.markup import escape

from builder import log
from builder.engine.display import Lines
from builder.errors import RecipeError
from builder.log import Event, Json, Plain
from builder.text import SafeConsole, TextTable, dump_json, make_line, make_visible
from builder.verbs.session import print_json, print_line, print_table, show_error

BUILDER = Path(__file__).parent.parent / "builder"
TITLE, CLEAR, TURN = "\x1b]0;owned\x07", "\x1b[2J", "\u202e"
HOSTILE = f"Pi{TITLE}{CLEAR}{TURN}\r\x9b5m\udcff\x00\u2028"
SEEN = r"Pi\x1b]0;owned\x07\x1b[2J\u202e\r\x9b5m\udcff\x00\u2028"
COMMAND = "ok\n  ::error::owned\n##[add-mask]owned"


def test_what_cannot_be_seen_is_written_out() -> None:
    assert make_visible(HOSTILE) == SEEN
    assert make_visible("Größe — 1\u00a0MiB\t✓ 中文\nnext") == "Größe — 1\u00a0MiB\t✓ 中文\nnext"
    assert make_line("a\n\tb") == r"a\n\tb"


def test_commands_of_ci_systems_are_not_obeyed() -> None:
    assert make_visible(COMMAND) == "ok\n  \\::error::owned\n#\\#[add-mask]owned"
    assert make_visible("listening on [::1]:80") == "listening on [::1]:80"


@given(st.text(alphabet=st.characters()))
def test_nothing_hidden_is_left_and_a_second_time_changes_nothing(text: str) -> None:
    shown = make_visible(text)
    assert make_visible(shown) == shown
    assert all(unicodedata.category(char) in ("Zs",) or char.isprintable() or char in "\n\t" for char in shown)


@given(st.text(alphabet=st.characters()))
def test_json_means_the_same(text: str) -> None:
    dumped = dump_json({text: [text]}, indent=1)
    assert json.loads(dumped) == {text: [text]}
    assert make_visible(dumped) == dumped, "it may be printed as it is"


def test_json_holds_no_command_of_a_ci_system(capsys: pytest.CaptureFixture[str]) -> None:
    """make_visible would put a backslash there, after which it is no JSON."""
    print_json([COMMAND])
    Json(sys.stdout).show(Event("note", COMMAND))
    line, event = capsys.readouterr().out.splitlines()
    assert json.loads(line) == [COMMAND]
    assert json.loads(event)["text"] == COMMAND
    assert "##[" not in line + event


@pytest.mark.parametrize("kind", ["start", "end", "fail", "note", "warn", "line"])
def test_a_log_of_lines_shows_it(kind: log.Kind) -> None:
    stream = io.StringIO()
    Plain(stream, verbose=True).show(Event(kind, HOSTILE))
    assert SEEN in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_events_are_read_back_as_they_were() -> None:
    stream = io.StringIO()
    Json(stream).show(Event("note", HOSTILE))
    assert json.loads(stream.getvalue())["text"] == HOSTILE
    assert stream.getvalue().rstrip("\n").isprintable()


def test_lines_of_several_boards_show_it() -> None:
    stream = io.StringIO()
    Lines("tiny", stream, verbose=True).show(Event("error", HOSTILE + "\n::error::x", {"hint": HOSTILE}))
    assert stream.getvalue().splitlines() == [f"tiny  error: {SEEN}", "tiny  \\::error::x", f"tiny  hint: {SEEN}"]


def test_a_terminal_shows_it_in_lines_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    console = SafeConsole(file=stream, force_terminal=True, width=200, highlight=False)
    console.print(f"[red]{escape(HOSTILE)}[/red]", soft_wrap=True)
    with console.status(escape(HOSTILE)):
        pass
    assert f"\x1b[31m{SEEN}" in stream.getvalue()
    assert not any(part in stream.getvalue() for part in (TITLE, CLEAR, TURN, "\r\x9b", "\x9b5m"))
    table = TextTable("", title="Boards")
    table.add_row(HOSTILE)
    table.add_row("[/red] [bold]")
    print_table(table)
    output = capsys.readouterr().out
    assert SEEN in output
    assert "[/red] [bold]" in output


def test_errors_and_results_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    error = RecipeError(f"{HOSTILE}\n::error::x", hint=HOSTILE)
    error.add_note(HOSTILE)
    show_error(error)
    print_line(HOSTILE)
    print_json([HOSTILE])
    captured = capsys.readouterr()
    assert captured.err.count(SEEN) == 3
    assert "\n\\::error::x" in captured.err
    line, data = captured.out.splitlines()
    assert line == SEEN
    assert json.loads(data) == [HOSTILE]


PRINTING = ("sys.stdout.write", "sys.stderr.write", "print", "typer.echo", "from rich.console import Console")
ALLOWED = {
    *("cli.py", "verbs/session.py", "text.py", "engine/display.py", "doctor/doctor.py"),
    "verbs/schema.py",  # made from our own types
    "verify/live/try_console.py",  # runs on the system that is asked
    "rootfs/namespaces.py",  # stands alone; its starter reads its output
}


def find_printing(file: Path) -> set[str]:
    """Return by what a module may bring text onto a standard stream."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    imports = {
        f"from {node.module} import {alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return (calls | imports) & {*PRINTING, "from rich.table import Table"}


def test_only_these_modules_print() -> None:
    """They show text as above; all others hand it to them."""
    printing = {path.relative_to(BUILDER).as_posix() for path in BUILDER.rglob("*.py") if find_printing(path)}
    assert printing == ALLOWED
