# SPDX-License-Identifier: MIT
"""Error kinds are an interface: unique, complete, and what the documentation says."""

from __future__ import annotations

import errno

import pytest

from builder import errors
from builder.errors import KINDS, BoardwrightError, SpaceError, disk_full_as_space_error

CODES = {
    "error": 1,
    "recipe": 3,
    "machine": 4,
    "download": 5,
    "trust": 6,
    "tool": 7,
    "space": 8,
    "busy": 9,
    "verify": 10,
    "release": 11,
    "interrupted": 130,
}


def test_kinds_and_exit_codes_are_the_documented_ones() -> None:
    assert {kind: cls.exit_code for kind, cls in KINDS.items()} == CODES


def test_exit_codes_are_unique_and_leave_out_what_others_use() -> None:
    codes = [cls.exit_code for cls in KINDS.values()]
    assert len(set(codes)) == len(codes)
    assert not {0, 2} & set(codes), "0 is success, 2 is a wrong command line"


def test_every_error_has_its_kind() -> None:
    defined = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, BoardwrightError)}
    assert set(KINDS.values()) == defined


@pytest.mark.parametrize("cls", KINDS.values())
def test_an_error_keeps_message_and_hint(cls: type[BoardwrightError]) -> None:
    error = cls("found", hint="do")
    assert (error.message, error.hint, str(error), cls("found").hint) == ("found", "do", "found", "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_space_error(number: int) -> None:
    with pytest.raises(SpaceError, match="write /x") as caught, disk_full_as_space_error("/x"):
        raise OSError(number, "full")
    assert caught.value.hint


def test_other_errors_of_the_system_stay_what_they_are() -> None:
    with pytest.raises(PermissionError), disk_full_as_space_error("/x"):
        raise PermissionError(errno.EACCES, "no")
