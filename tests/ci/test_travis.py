# SPDX-License-Identifier: MIT
"""The file for Travis: its jobs, and its scripts run by bash, with a stand-in for what takes minutes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.ci_repository import call, commit
from tests.support.ci_stand_in import put_stand_in

TAG = {"TRAVIS_TAG": "v1.0", "TRAVIS_PULL_REQUEST": "false", "BOARDWRIGHT_CACHE": "s3://cache"}


@pytest.fixture(params=["fork", "boards_only"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place: Path = request.getfixturevalue(request.param)
    put_stand_in(place if request.param == "fork" else place / "boardwright", tmp_path / "calls")
    done = call("ci", "install", "--provider", "travis", cwd=place)
    assert done.returncode == 0, done.stderr
    commit(place)
    return place


def load(project: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(project / ".travis.yml")
    return loaded


def run_job(project: Path, job: dict[str, Any], **variables: str) -> list[str]:
    """Run what a job installs, its script and, for a tag, what it deploys; return how the stand-in was called."""
    travis, calls = load(project), project.parent / "calls"
    calls.write_text("")
    lines = [*travis["install"], *job["script"]]
    if "deploy" in job:
        lines.append(job["deploy"]["script"])
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BOARDWRIGHT", "VERSION"))}
    given = dict(pair.split("=", 1) for pair in [*travis["env"]["global"], *job.get("env", "").split()])
    script = "\n".join(["set -e", *lines])
    env |= given | {"TRAVIS_TAG": "", "TRAVIS_REPO_SLUG": "owner/images"} | variables
    done = subprocess.run(["bash", "-c", script], cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return calls.read_text().splitlines()


def jobs_of(project: Path, stage: str) -> list[dict[str, Any]]:
    return [job for job in load(project)["jobs"]["include"] if job["stage"] == stage]


def test_each_board_has_a_job_whose_images_the_release_takes(project: Path) -> None:
    boards = ["qemu-amd64", "qemu-arm64", "rpi", "rpi5"]
    assert [job["env"] for job in jobs_of(project, "build")] == [f"BOARD={board}" for board in boards]
    assert [job["workspaces"]["create"]["name"] for job in jobs_of(project, "build")] == boards
    (release,) = jobs_of(project, "release")
    assert release["workspaces"]["use"] == boards


def test_a_pull_request_builds_its_boards_and_writes_to_no_cache(project: Path) -> None:
    commit(project, "boards/rpi/board.yaml")
    built = [
        words
        for job in jobs_of(project, "build")
        for words in run_job(project, job, TRAVIS_PULL_REQUEST="7", BOARDWRIGHT_CACHE="s3://cache")
    ]
    assert built == [f"build {board} VERSION= CACHE=s3://cache MODE=ro" for board in ("rpi", "rpi5")]


def test_the_key_of_the_cache_goes_to_the_build_by_a_file(project: Path) -> None:
    job = jobs_of(project, "build")[2]
    assert run_job(project, job, TRAVIS_PULL_REQUEST="false", CACHE_KEY="a key") == [
        "build rpi VERSION= CACHE= MODE= KEY=a key"
    ]


def test_a_tag_is_built_without_a_cache_and_released_where_there_is_something_to_release_to(project: Path) -> None:
    build = jobs_of(project, "build")[2]
    assert run_job(project, build, **TAG) == ["build rpi VERSION=1.0 CACHE= MODE="]
    (release,) = jobs_of(project, "release")
    package, publish = run_job(project, release, **TAG, GITHUB_TOKEN="x")
    assert package.startswith("package dist/boardwright-rpi-1.0.img.zst --output release/ ")
    assert publish.startswith("release v1.0 --packaged release/ --require-signature --to github:owner/images VERSION=")
    _, publish = run_job(project, release, **TAG, BOARDWRIGHT_RELEASES="s3://images")
    assert "--require-signature --to s3://images VERSION=" in publish


def test_the_check_is_red_when_the_file_is_not_current(project: Path) -> None:
    (check,) = jobs_of(project, "check")
    run_job(project, check)
    path = project / ".travis.yml"
    path.write_text(path.read_text().replace("os: linux", "os: linux # mine"))
    with pytest.raises(AssertionError, match="os: linux # mine"):
        run_job(project, check)
