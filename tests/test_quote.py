# SPDX-License-Identifier: MIT
"""What is quoted is read back as it was, by what reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder import quote
from builder.errors import BoardwrightError

LINE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=40)


@given(LINE)
@settings(max_examples=60, deadline=None)
def test_a_shell_reads_it_back(text: str) -> None:
    script = f'value={quote.shell(text)}\nprintf %s "$value"\n'
    done = subprocess.run(["sh", "-eu"], input=script.encode(), capture_output=True, check=True)
    assert (done.stdout.decode(), done.stderr) == (text, b"")


@given(LINE)
def test_a_value_of_deb822_stays_in_its_field(text: str) -> None:
    fields = {"Suites": text, "Components": "main"}
    lines = quote.deb822(fields).splitlines()
    assert dict(line.split(": ", 1) for line in lines) == fields


@pytest.mark.parametrize("text", ["a\nTrusted: yes", "\n", "a\n", "a\rb", "a\x0bb", "a\u2028b", "a\0b", "a\x85b"])
@pytest.mark.parametrize("function", [quote.line, quote.shell, lambda text: quote.deb822({"a": text})])
def test_what_is_more_than_a_line_is_refused(text: str, function: Callable[[str], str]) -> None:
    with pytest.raises(BoardwrightError, match="expected one line"):
        function(text)


def test_a_comma_is_part_of_a_value_of_qemu() -> None:
    assert quote.qemu(Path("/a,readonly=on/b")) == "/a,,readonly=on/b"
