# SPDX-License-Identifier: MIT
"""The file for GitLab, run by a GitLab runner for one machine: its jobs, rules, variables and artifacts are real.

Only what takes minutes is not: `make build`, `package` and `release` write down how they were called, and leave files
with the right names. `ci matrix` and `ci install --check` are the real ones.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ci_repository import call, commit, git
from tests.support.ci_stand_in import put_stand_in

pytestmark = pytest.mark.ci

APT = """\
#!/bin/sh
echo "$(basename "$0") $*" >> {calls}
"""
LOCAL = """\
# A runner of one's own machine, where Docker is there already.
include: [{local: .gitlab-ci.yml}]
build: {services: []}
"""
TAG = {"CI_COMMIT_TAG": "v1.0", "BOARDWRIGHT_RELEASES": "s3://images/all", "BOARDWRIGHT_CACHE": "s3://cache"}
ALL = ["qemu-amd64", "qemu-arm64", "rpi", "rpi5"]


@dataclass(frozen=True)
class Pipeline:
    """What became of one."""

    code: int
    ended: dict[str, str]
    """PASS or FAIL by job."""
    calls: list[str]
    """How the stand-in was called, sorted."""
    output: str


RunPipeline = Callable[..., Pipeline]


@pytest.fixture
def run_pipeline(node_programs: Path, tmp_path: Path) -> RunPipeline:
    """Install the file into a repository, commit it, and run its pipeline with variables of GitLab."""
    calls = tmp_path / "calls"

    apt = tmp_path / "bin/apt-get"
    apt.parent.mkdir()
    apt.write_text(APT.format(calls=calls))
    apt.chmod(0o755)

    def run(place: Path, **variables: str) -> Pipeline:
        calls.write_text("")
        words = [node_programs / "gitlab-ci-local", "--file", "local.yml", "--home", tmp_path / "home"]
        words += ["--force-shell-executor", "--shell-isolation"]
        for name, value in variables.items():
            words += ["--variable", f"{name}={value}"]
        if "CI_COMMIT_TAG" in variables or "CI_MERGE_REQUEST_IID" in variables:
            words += ["--unset-variable", "CI_COMMIT_BRANCH"]
        env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "BOARDWRIGHT"))}
        env |= {"NO_COLOR": "1", "PATH": f"{apt.parent}:{env['PATH']}"}
        done = subprocess.run([*map(str, words)], cwd=place, env=env, capture_output=True, text=True, check=False)
        output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        ended = {job: word for word, job in re.findall(r"^ (PASS|FAIL|WARN) +(\S.*?) *$", output, re.MULTILINE)}
        return Pipeline(done.returncode, ended, sorted(calls.read_text().splitlines()), output)

    return run


def prepare(place: Path, tool: Path, calls: Path) -> Path:
    """Put the stand-in where Boardwright is, install the file for GitLab, commit."""
    put_stand_in(tool, calls)
    (place / "local.yml").write_text(LOCAL)
    done = call("ci", "install", "--provider", "gitlab", cwd=place)
    assert done.returncode == 0, done.stderr
    commit(place)
    git(place, "remote", "add", "origin", "https://gitlab.example.org/group/images.git")
    git(place, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(place, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    return place


@pytest.fixture
def project(fork: Path, tmp_path: Path) -> Path:
    return prepare(fork, fork, tmp_path / "calls")


def built(pipeline: Pipeline) -> list[str]:
    return [words.split()[1] for words in pipeline.calls if words.startswith("build ")]


def test_the_main_branch_builds_all_boards(project: Path, run_pipeline: RunPipeline) -> None:
    ran = run_pipeline(project, BOARDWRIGHT_CACHE="s3://cache")
    assert ran.code == 0, ran.output
    assert ran.ended == dict.fromkeys(["check", "boards", *(f"build: [{board}]" for board in ALL)], "PASS")
    assert ran.calls == [f"build {board} VERSION= CACHE=s3://cache MODE=" for board in ALL]
    reports = sorted(path.name for path in (project / "dist").glob("*.specs.xml"))
    assert reports == [f"boardwright-{board}-dev.specs.xml" for board in ALL]


def test_a_merge_request_builds_its_boards_and_writes_to_no_cache(project: Path, run_pipeline: RunPipeline) -> None:
    base = git(project, "rev-parse", "HEAD")
    git(project, "switch", "--quiet", "--create", "change")
    commit(project, "boards/rpi/board.yaml")
    ran = run_pipeline(
        project,
        CI_PIPELINE_SOURCE="merge_request_event",
        CI_MERGE_REQUEST_IID="7",
        CI_MERGE_REQUEST_DIFF_BASE_SHA=base,
        BOARDWRIGHT_CACHE="s3://cache",
        BOARDWRIGHT_CACHE_MODE="rw",
    )
    assert ran.code == 0, ran.output
    assert ran.calls == [f"build {board} VERSION= CACHE=s3://cache MODE=ro" for board in ("rpi", "rpi5")]
    assert "this change does not affect qemu-arm64" in ran.output


def test_a_tag_builds_packages_and_releases_without_a_cache(project: Path, run_pipeline: RunPipeline) -> None:
    ran = run_pipeline(project, **TAG, BOARDWRIGHT_PUBLIC_URL="https://images.example.org", BOARDWRIGHT_BOOT="x rpi5 y")
    assert ran.code == 0, ran.output
    assert [*ran.ended.values()] == ["PASS"] * 8
    images = " ".join(f"dist/boardwright-{board}-1.0.img.zst" for board in ALL)
    rest = "VERSION= CACHE=s3://cache MODE="
    assert [words for words in ran.calls if not words.startswith("apt-get ")] == [
        *(f"build {board} VERSION=1.0 CACHE= MODE=" for board in ALL),
        f"package {images} --output release/ {rest}",
        "release v1.0 --packaged release/ --require-signature --to s3://images/all"
        f" --public-url https://images.example.org {rest}",
        "verify rpi5 --boot VERSION=1.0 CACHE= MODE=",
    ]


def test_a_tag_with_nowhere_to_go_ends_with_packages(project: Path, run_pipeline: RunPipeline) -> None:
    ran = run_pipeline(project, CI_COMMIT_TAG="v1.0")
    assert ran.code == 0, ran.output
    assert "package" in ran.ended
    assert "release" not in ran.ended
    assert "release/" in "".join(ran.calls)


def test_one_red_board_ends_a_release_and_leaves_its_log(project: Path, run_pipeline: RunPipeline) -> None:
    ran = run_pipeline(project, **TAG, FAILS="rpi")
    assert ran.code != 0
    assert ran.ended["build: [rpi]"] == "FAIL"
    assert {"package", "release"} & set(ran.ended) == set()
    assert sorted(built(ran)) == ALL, "the others are built all the same"
    assert (project / "work/logs/rpi.log").read_text() == "a spec is red\n"


def test_a_file_that_is_out_of_date_is_red(project: Path, run_pipeline: RunPipeline) -> None:
    path = project / ".gitlab-ci.yml"
    path.write_text(path.read_text().replace("expire_in: 1 week", "expire_in: 2 weeks"))
    commit(project)
    ran = run_pipeline(project)
    assert ran.ended["check"] == "FAIL"


def test_boards_of_their_own_are_built_by_a_submodule(
    boards_only: Path, tmp_path: Path, run_pipeline: RunPipeline
) -> None:
    project = prepare(boards_only, boards_only / "boardwright", tmp_path / "calls")
    ran = run_pipeline(project, **TAG)
    assert ran.code == 0, ran.output
    assert sorted(built(ran)) == ALL
    assert "release" in ran.ended
