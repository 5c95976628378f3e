# SPDX-License-Identifier: MIT
"""A build whose image is not what it should be hands out nothing and leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from builder.errors import VerifyError
from tests.conftest import ROOT
from tests.support.chaos import Place

pytestmark = pytest.mark.machine


def test_a_red_spec_stops_the_release(place: Place) -> None:
    words = [word for word in place.command("tiny", reuse=True) if word != "--no-verify"]
    done = subprocess.run(
        [sys.executable, "-m", "builder", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    error = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == VerifyError.exit_code
    assert "board tiny, version 1" in error["text"]
    assert "boot_spec.py: the boot loader names a kernel that is there" in error["text"]
    assert "build.log" in error["data"]["hint"]
    assert place.products() == []
    assert place.traces() == []
    log = (place.state / "rooms/tiny/build.log").read_text()
    assert "test_the_boot_loader_names_a_kernel_that_is_there" in log


def test_the_specs_can_be_left_out(place: Place) -> None:
    assert place.build().code == 0
    assert not [name for name in place.products() if ".specs." in name]
