# SPDX-License-Identifier: MIT
"""`boardwright boot`, `verify --boot` and `--host` where they cannot work: an error, and nothing left."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builder.errors import MachineError, RecipeError, VerifyError
from tests.chain.conftest import boardwright
from tests.verify.test_verify import make_image

pytestmark = pytest.mark.machine

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_image(tmp_path, "rpi")


def call(image: Path, verb: str, *options: str | Path) -> Done:
    state = image.parent / "state"
    done = boardwright(verb, image, "--state", state, *options)
    assert not list(state.glob("*/*")), done.stderr
    return done


@pytest.mark.boot
def test_an_image_without_boot_files_does_not_start(image: Path) -> None:
    done = call(image, "boot")
    assert done.returncode == VerifyError.exit_code
    assert "the first partition of the image has no config.txt" in done.stderr


def test_user_data_that_is_none_is_said_before_the_work(image: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("hostname: x\n")
    done = call(image, "boot", "--user-data", wrong)
    assert done.returncode == RecipeError.exit_code
    assert "expected #cloud-config" in done.stderr


@pytest.mark.boot
def test_a_board_of_hardware_only_is_not_booted_here(image: Path, tmp_path: Path) -> None:
    boards = tmp_path / "boards"
    subprocess.run(["cp", "--recursive", "boards", boards], check=True)
    recipe = boards / "rpi/board.yaml"
    recipe.write_text(recipe.read_text().partition("qemu:\n")[0])
    done = call(image, "verify", "--boot", "--boards", boards)
    assert done.returncode == MachineError.exit_code
    assert "has no `qemu` in its recipe" in done.stderr


def test_one_system_is_asked_at_a_time(image: Path) -> None:
    done = call(image, "verify", "--boot", "--host", "ssh://board")
    assert done.returncode == RecipeError.exit_code
    assert "cannot be combined" in done.stderr


def test_an_address_that_is_none_is_said(image: Path) -> None:
    done = call(image, "verify", "--host", "board.local")
    assert done.returncode == RecipeError.exit_code
    assert "--host: found 'board.local'" in done.stderr


@pytest.mark.boot
def test_a_board_that_does_not_answer_is_one_error_and_not_a_hundred(image: Path) -> None:
    done = call(image, "verify", "--host", "ssh://pirate@127.0.0.1:1")
    assert done.returncode == VerifyError.exit_code
    assert "ssh://pirate@127.0.0.1:1: login by ssh failed" in done.stderr
    assert "Connection refused" in done.stderr
