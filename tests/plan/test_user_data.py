# SPDX-License-Identifier: MIT
"""A user's own user-data: refused when cloud-init would not take it, and never shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.plan.render import render_json
from builder.recipe.load import load_board
from tests.support.recipes import write_board


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


BOMB = "\n".join(
    [
        "#cloud-config",
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
        *(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)),
        "packages: *a8",
    ]
)
"""A schema would look at a thousand million packages."""


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", ["1:1: found an empty first line; expected #cloud-config", "1:1: the file is empty; "]),
        (b"\xef\xbb\xbf#cloud-config\na: 1\n", ["1:1: found a byte order mark (BOM); expected UTF-8 without"]),
        (b"\n#cloud-config\na: 1\n", ["1:1: found an empty first line; expected #cloud-config"]),
        (b"#cloud-config\nhostname: [secret]\n", ["2:1: found a list; expected text"]),
        (b"#cloud-config\nusers:\n- name: a\n  groups: 7\n", ["4:3: found a whole number; expected text or "]),
        (b"#cloud-config\r\nruncmd: secret\r\n", ["2:1: found text; expected a list"]),
        (b"#cloud-config\n", ["1:1: the file is empty; "]),
        (b"password: secret\n", ["1:1: found another first line; expected #cloud-config"]),
        (b"# cloud-config\na: 1\n", ["1:1: found another first line; expected #cloud-config"]),
        (b"#cloud-config\n- a\n", ["2:1: found no mapping; expected `key: value` lines"]),
        (b"#cloud-config\npassword: [secret\n", ["2:11: not YAML: expected …"]),
        (b"#cloud-config\npassword: *se'cret\n", ["2:11: not YAML: found undefined alias …"]),
        (b"#cloud-config\npassword:\n\tsecret\n", ["3:1: found a tab; expected spaces for the indent"]),
        (b"#cloud-config\npassword: " + b"9" * 5000, ["2:1: found a number or a date that cannot be one; quote it"]),
        (b"#cloud-config\na:\n- b: 2026-99-99\n", ["3:3: found a number or a date that cannot be one; quote it"]),
        (b"#cloud-config\na: 1\nb: !!int ''\n", ["3:1: found a number or a date that cannot be one; quote it"]),
        (b"#cloud-config\na: 1\nb: [1, !!float '_']", ["3:8: found a number or a date that cannot be one; quote it"]),
        (b"#cloud-config\na: !!bool secret\n", ["2:1: found a number or a date that cannot be one; quote it"]),
        (
            b"#cloud-config\na: ['9', 0x" + b"9" * 50 + b"]",
            ["2:10: found a number of more than 40 digits; expected text in quotes"],
        ),
        (b"#cloud-config\na: &a\n- *a\n", ["2:4: found an alias inside its own value; write it without"]),
        (BOMB.encode(), ["1:1: found more than 20000 values through aliases; write them without"]),
        (b"#cloud-config\npassword: secr\xe9t\n", ["2:15: found the byte 0xe9; expected UTF-8"]),
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


def test_a_pipe(boards: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "user-data")
    with pytest.raises(
        RecipeError, match=r"user-data:1:1: found a pipe, which can be read only once; save it"
    ) as caught:
        _plan(boards, tmp_path / "user-data")
    assert "docs.cloud-init.io" in caught.value.hint


UNKNOWN = "found a key that cloud-init does not know"


@pytest.mark.parametrize(
    ("data", "warnings"),
    [
        (b"#cloud-config\npassword: secret\n", ()),
        (b"#cloud-config \r\nhostname: x\r\n", ()),
        (b"#cloud-config\nssh_pwauth: no\n", ()),  # YAML 1.1, as cloud-init reads it
        (
            b"#cloud-config\nusers:\n  - name: pi\n    ssh_pwauth: true\n    chpasswd: {expire: false}\n",
            (f"4:5: {UNKNOWN}; it will be ignored", f'5:5: {UNKNOWN} (did you mean "passwd"?); it will be ignored'),
        ),
        (b"#cloud-config\nhostnam: secret\n", (f'2:1: {UNKNOWN} (did you mean "hostname"?); it will be ignored',)),
    ],
)
def test_what_cloud_init_ignores_is_a_warning(
    boards: Path, tmp_path: Path, data: bytes, warnings: tuple[str, ...]
) -> None:
    file = tmp_path / "user-data"
    file.write_bytes(data)
    assert _plan(boards, file).warnings == tuple(f"user-data:{each}" for each in warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 2\nwifis: {wlan0: {access-points: {'a b': {password: '12345678'}, open: {}, other: }}}\n", ""),
        ("network:\n  version: 1\n  config: [{type: physical, name: eth0, subnets: [{type: dhcp}]}]\n", ""),
        ("network:\n  version: 2\n  wifi: {}\n", "3:3: found a key that netplan does not know; expected version"),
        ("network: [a]\n", "1:1: found no mapping; expected version and devices"),
        ("ethernets: {}\n", "1:1: found no version; expected 1 or 2"),
        ("version: 2\nwifis: {wlan0: {dhcp4: true}}\n", "2:9: missing; expected networks by name (SSID)"),
        ("version: 2\nwifis: [a]\n", "2:1: found no mapping; expected devices by name"),
        ("version: 2\nethernets: {eth0: true}\n", "2:13: found no mapping; expected settings"),
        ("version: 2\nwifis: {w: {access-points: {a: secret}}}\n", "2:29: found no mapping; expected password"),
        (
            "version: 2\nwifis: {w: {access-points: {a: {password: secret}}}}\n",
            "2:33: found 6 characters; expected 8 to 63, or 64 hex digits",
        ),
        ("version: 1\nconfig: [{type: physical}]\n", "2:10: missing: name"),
        (
            "version: 2\nethernets: {e: {match: {name: 'e*'}, dhcp-4: true}}\n",
            '2:38: found a key that netplan does not know (did you mean "dhcp4"?)',
        ),
        (
            "version: 2\nwifis: {w: {access-points: {a: {psk: secret-secret}}}}\n",
            "2:33: found a key that netplan does not know",
        ),
        (
            "version: 2\nethernets: {e: {addresses: [192.168.1.20]}}\n",
            "2:29: found no prefix length; expected one, for",
        ),
        ("version: 2\nethernets: {e: {dhcp4: yes, dhcp6: Off, optional: True}}\n", ""),
        ("version: 2\nethernets: {e: {dhcp6: secret}}\n", "2:17: found another value; expected true or false"),
        ("version: 2\nethernets: {e: {addresses: secret}}\n", "2:17: found no list; expected addresses"),
        ("version: 2\nethernets: {e: {addresses: [10.0.0.1/8, {fd00::1/64: {label: a}}], mtu: 9000}}\n", ""),
    ],
)
def test_a_network_config_of_a_board_is_judged(boards: Path, text: str, words: str) -> None:
    write_board(boards, "mine", "extends: good\n")
    file = boards / "mine/files/boot/firmware/network-config"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    board = load_board(boards, "mine")
    if not words:
        assert make_plan(board, version="1", epoch=0).warnings == ()
        return
    with pytest.raises(RecipeError) as caught:
        make_plan(board, version="1", epoch=0)
    assert f"network-config:{words}" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_file_is_judged_in_whatever_case_it_is_named(boards: Path) -> None:
    write_board(boards, "mine", "extends: good\n")
    file = boards / "mine/files/boot/firmware/USER-Data"
    file.parent.mkdir(parents=True)
    file.write_text("#cloud-config\nhostnam: x\n")
    (warning,) = make_plan(load_board(boards, "mine"), version="1", epoch=0).warnings
    assert warning.startswith("USER-Data:2:1: found a key that cloud-init does not know")
