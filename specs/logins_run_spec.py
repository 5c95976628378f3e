# SPDX-License-Identifier: MIT
"""The running system refuses common passwords."""

from pathlib import Path

import pytest

from builder.verify.live.passwords import find_open_at_console, find_open_by_ssh
from builder.verify.live.ssh import LiveSystem

pytestmark = [pytest.mark.level("booted"), pytest.mark.needs("machine", "users")]


def test_ssh_takes_no_common_password(live: LiveSystem, user: str, tmp_path: Path) -> None:
    assert find_open_by_ssh(live, user, tmp_path) == []


def test_ssh_takes_no_common_password_of_root(live: LiveSystem, tmp_path: Path) -> None:
    assert find_open_by_ssh(live, "root", tmp_path) == []


@pytest.mark.needs("package:sudo")
def test_a_console_takes_no_common_password(live: LiveSystem, user: str) -> None:
    assert find_open_at_console(live, user) == []
