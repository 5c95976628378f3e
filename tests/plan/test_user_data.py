# SPDX-License-Identifier: MIT
"""A user's own user-data: refused when cloud-init would not take it, and never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.plan.show import render_json
from builder.recipe.load import load_board


def _plan(boards: Path, user_data: Path | None) -> Plan:
    return make_plan(load_board(boards, "good"), version="1", epoch=0, user_data=user_data)


def test_changes_the_rootfs_key_and_is_shown_by_digest_only(boards: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("#cloud-config\npassword: hunter2\n")
    without, first = _plan(boards, None), _plan(boards, file)
    file.write_text("#cloud-config\r\npassword: hunter3\r\n")
    second = _plan(boards, file)
    assert len({plan.steps[2].key for plan in (without, first, second)}) == 3
    assert without.disk == first.disk
    shown = render_json(second)
    assert "hunter" not in shown
    assert '"name": "mine.yaml"' in shown
    assert str(tmp_path) not in shown


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", ["1:1: found another first line; needed: #cloud-config", "1:1: the file is empty; "]),
        (b"#cloud-config\n", ["1:1: the file is empty; "]),
        (b"password: secret\n", ["1:1: found another first line; needed: #cloud-config"]),
        (b"# cloud-config\na: 1\n", ["1:1: found another first line; needed: #cloud-config"]),
        (b"#cloud-config\n- a\n", ["2:1: found no mapping; allowed: `key: value` lines"]),
        (b"#cloud-config\npassword: [secret\n", ["2:11: not YAML: expected …"]),
        (b"#cloud-config\npassword: *se'cret\n", ["2:11: not YAML: found undefined alias …"]),
        (b"#cloud-config\npassword:\n\tsecret\n", ["3:1: found a tab; indent with spaces"]),
        (b"#cloud-config\npassword: secr\xe9t\n", ["2:15: found the byte 0xe9, which is not UTF-8; save as UTF-8"]),
    ],
)
def test_refused(boards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, lines: list[str]) -> None:
    monkeypatch.chdir(tmp_path)  # whose own name has the data in it
    file = Path("user-data")
    file.write_bytes(data)
    with pytest.raises(RecipeError) as caught:
        _plan(boards, file)
    found = caught.value.message.split("\n")
    assert len(found) == len(lines)
    assert all(line.startswith(f"{file}:{start}") for line, start in zip(found, lines, strict=True))
    assert not re.search("se'?cret", caught.value.message)


def test_missing(boards: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"user-data:1:1: cannot be read: No such file"):
        _plan(boards, tmp_path / "user-data")
