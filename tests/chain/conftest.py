# SPDX-License-Identifier: MIT
"""Real images, each built once a session through a real Docker Engine by the command users call."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

VERSION = "1.0-test"
EPOCH = "1790000000"
HOSTNAME = "lighthouse"


@dataclass(frozen=True)
class Built:
    """What one build handed out."""

    board: str
    artefacts: tuple[Path, ...]
    sha256: str
    output: str = ""
    """What the command wrote to stdout and stderr."""

    def file(self, suffix: str) -> Path:
        """Return the artefact whose name ends so."""
        return next(path for path in self.artefacts if path.name.endswith(suffix))


def boardwright(*arguments: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Call the command line as a user would."""
    command: list[str] = [sys.executable, "-m", "builder", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, check=False)


def verify(place: Path, image: Path, *options: str | Path) -> list[dict[str, str]]:
    """Run `boardwright verify` and return the verdicts of the booted level; all of them are green."""
    done = boardwright("verify", image, "--json", "--state", place / "verify", "--report", place, *options)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    problems = [event["text"] for event in events if event["kind"] == "error"]
    assert done.returncode == 0, "\n".join(problems) or done.stderr
    report = next(event for event in events if event["kind"] == "result")["data"]
    assert not list((place / "verify").glob("*/*"))
    booted = {path.name for path in (ROOT / "specs").glob("*_spec.py") if 'level("booted")' in path.read_text()}
    return [verdict for verdict in report["verdicts"] if verdict["file"] in booted]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chain")


@pytest.fixture(scope="session")
def ssh_key(place: Path) -> Path:
    key = place / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


@pytest.fixture(scope="session")
def user_data(place: Path, ssh_key: Path) -> Path:
    path = place / "user-data"
    public = ssh_key.with_suffix(".pub").read_text()
    path.write_text(f"#cloud-config\nhostname: {HOSTNAME}\nmanage_etc_hosts: true\nssh_authorized_keys: [{public!r}]\n")
    return path


Build = Callable[..., Built]


@pytest.fixture(scope="session")
def build(place: Path, user_data: Path, builder_image: str) -> Build:
    def call(board: str, *options: str | Path, output: str = "dist") -> Built:
        done = boardwright(
            *("build", board, "--engine", "docker", "--json", "--version", VERSION, "--epoch", EPOCH),
            *("--user-data", str(user_data), "--state", str(place / "state"), "--output", str(place / output)),
            *options,
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, [event for event in events if event["kind"] == "error"] or done.stderr
        artefacts = next(event for event in events if event["kind"] == "result")["data"]["artefacts"]
        return Built(
            board, tuple(Path(row["path"]) for row in artefacts), artefacts[0]["sha256"], done.stdout + done.stderr
        )

    return call


@pytest.fixture(scope="session")
def qemu_amd64(build: Build) -> Built:
    return build("qemu-amd64", "--assembler", "loop", "--compress", "none")


@pytest.fixture(scope="session")
def qemu_arm64(build: Build) -> Built:
    return build("qemu-arm64", "--compress", "none")


@pytest.fixture(scope="session")
def rpi(build: Build) -> Built:
    return build("rpi")


@pytest.fixture(scope="session")
def rpi_to_start(build: Build) -> Built:
    """The image of `rpi` as a machine takes it, for tests that do nothing else with it."""
    return build("rpi", "--compress", "none", output="to-start")


@pytest.fixture(scope="session")
def rpi_disk(rpi: Built, place: Path) -> Path:
    """The image of `rpi`, unpacked; tests read it and write copies only."""
    disk = place / "rpi.img"
    subprocess.run(["zstd", "-q", "-d", "--sparse", rpi.file(".img.zst"), "-o", disk], check=True)
    return disk
