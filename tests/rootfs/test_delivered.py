# SPDX-License-Identifier: MIT
"""What packages have delivered, written into a tree and read again, also where another has written it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.errors import BoardwrightError, MachineError
from builder.rootfs.delivered import find_delivered, read_delivered, write_delivered
from builder.rootfs.model import DELIVERED
from builder.system.files import InputError
from tests.support.hostile import WRONG, check_message, find_places, put


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree that says what it has."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/nowhere\udcff").symlink_to("gone")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    write_delivered(tmp_path, find_delivered(tmp_path))
    return tmp_path


def test_what_is_written_is_read(tree: Path) -> None:
    delivered = read_delivered(tree)
    assert delivered["links"] == {"/usr/bin/nowhere\udcff": "gone"}
    assert delivered["shells"] == {"root": "/bin/sh"}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: repr(wrong[:12]))
def test_what_another_has_written_is_refused(wrong: bytes, tree: Path) -> None:
    path = tree / DELIVERED.lstrip("/")
    document = json.loads(path.read_bytes())
    for content in (wrong, *(put(document, place, wrong) for place, is_key in find_places(document) if not is_key)):
        path.write_bytes(content)
        try:
            read_delivered(tree)
        except BoardwrightError as error:
            refusal = error
            check_message(refusal.message.replace(str(tree), ""))
    path.write_bytes(wrong)
    with pytest.raises(MachineError, match="not a record of Boardwright"):
        read_delivered(tree)


def test_a_file_of_this_machine_is_not_read(tree: Path) -> None:
    path = tree / DELIVERED.lstrip("/")
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="leads out"):
        read_delivered(tree)
