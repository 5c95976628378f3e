# SPDX-License-Identifier: MIT
"""The workflow for GitHub: what each job may do, and the two scripts that carry what earlier builds made."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from ruamel.yaml import YAML

from builder.engine.docker.base_image import make_base
from builder.engine.docker.connect import open_engine
from tests.conftest import ROOT

WORKFLOW: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github/workflows/boardwright.yml")
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [(job, step) for job, each in JOBS.items() for step in each["steps"]]


def find_step(job: str, name: str) -> dict[str, Any]:
    (step,) = [step for step in JOBS[job]["steps"] if step["name"] == name]
    return step  # type: ignore[no-any-return]


def test_only_the_release_may_write() -> None:
    assert WORKFLOW["permissions"] == {}
    assert {job: each["permissions"] for job, each in JOBS.items()} == {
        **{job: {"contents": "read"} for job in ("check", "boards", "build", "package")},
        "passed": {},
        "release": {"contents": "write"},
    }


def test_the_jobs_of_a_release_run_for_tags_alone_and_in_an_environment() -> None:
    for job in ("package", "release"):
        assert JOBS[job]["if"] == "github.ref_type == 'tag'"
        assert JOBS[job]["environment"] == "release"
    assert set(JOBS["package"]["needs"]) >= {"passed"}, "a release whose checks or specs are red is none"


def test_a_key_is_seen_by_one_step_only() -> None:
    seen = {name: job for job, step in STEPS for name in re.findall(r"secrets\.(\w+)", str(step))}
    assert seen == {
        "CACHE_ACCESS_KEY_ID": "build",
        "CACHE_SECRET_ACCESS_KEY": "build",
        "CACHE_KEY": "build",
        "BOARDWRIGHT_MINISIGN_KEY": "package",
        "BOARDWRIGHT_MINISIGN_PASSWORD": "package",
        "RELEASE_ACCESS_KEY_ID": "release",
        "RELEASE_SECRET_ACCESS_KEY": "release",
    }
    everywhere = str({**WORKFLOW, "jobs": {job: {**each, "steps": []} for job, each in JOBS.items()}})
    assert "secrets." not in everywhere
    for name, value in find_step("build", "Build and verify")["env"].items():
        assert value.startswith("${{ github.event_name != 'pull_request' && secrets."), name


@pytest.mark.parametrize("key", ["", "a key"])
def test_the_key_of_the_cache_goes_to_the_build_by_a_file(key: str, tmp_path: Path) -> None:
    make = tmp_path / "make"
    make.write_text(
        '#!/bin/sh\n[ -z "$BOARDWRIGHT_CACHE_KEY" ] || stat -c %a $BOARDWRIGHT_CACHE_KEY && cat $BOARDWRIGHT_CACHE_KEY'
    )
    make.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CACHE_KEY": key, "RUNNER_TEMP": str(tmp_path)}
    env |= {"GITHUB_REF_TYPE": "branch", "BOARD": "rpi"}
    script = find_step("build", "Build and verify")["run"]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == (f"600\n{key}\n" if key else "")


def test_every_job_ends() -> None:
    assert all(each["timeout-minutes"] <= 120 for each in JOBS.values())


def test_every_action_is_pinned_and_no_checkout_leaves_a_token() -> None:
    for _, step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_no_script_has_an_expression_in_it() -> None:
    """What stands in a title or a branch's name would be part of the script."""
    assert not [step["name"] for _, step in STEPS if "${{" in step.get("run", "")]


@pytest.fixture
def api() -> Iterator[APIClient]:
    with open_engine() as client:
        yield client


@pytest.fixture
def volumes(api: APIClient) -> Iterator[tuple[str, str]]:
    names = (f"boardwright-test-kept-{os.getpid()}", f"boardwright-test-fresh-{os.getpid()}")
    yield names
    for name in names:
        api.remove_volume(name, force=True)


FILL = """
set -e
mkdir -p /state/cache/layers/one/tree /state/cache/store/objects /state/rooms
cd /state/cache/layers/one/tree
echo a > file; chown 1000:5 file; chmod 4755 file; ln file hard; ln -s file soft
mkdir opaque
mknod gone c 0 0
perl -e '
    my $capability = pack("V5", 0x02000000, 0x400, 0, 0, 0);
    for (["opaque", "trusted.overlay.opaque", "y"], ["file", "security.capability", $capability]) {
        my ($path, $name, $value) = @$_;
        syscall(188, $path, $name, $value, length($value), 0) == 0 or die "setxattr: $!";
    }
'
"""
LIST = (
    "tar --create --sort=name --numeric-owner --xattrs --xattrs-include='*' --directory /state --exclude cache/store"
    " --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime cache"
)


@pytest.mark.engine
def test_what_is_kept_comes_back_as_it_was(api: APIClient, volumes: tuple[str, str], tmp_path: Path) -> None:
    """A layer holds what is hard to carry: owners, whiteouts, extended attributes of overlayfs, capabilities."""
    base = make_base(api).name
    kept, fresh = volumes

    def run_script(step: str, volume: str) -> None:
        env = {**os.environ, "RUNNER_TEMP": str(tmp_path), "VOLUME": volume, "BASE_IMAGE": base}
        script = find_step("build", step)["run"]
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def run_in(volume: str, script: str) -> bytes:
        words = ["docker", "run", "--rm", "--cap-add=SYS_ADMIN", f"--volume={volume}:/state", base, "sh", "-c", script]
        done = subprocess.run(words, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run_in(kept, FILL)
    run_script("Pack what the next build can use", kept)
    run_script("Unpack it", fresh)
    before, after = run_in(kept, LIST), run_in(fresh, LIST)
    assert b"trusted.overlay.opaque" in before
    assert b"security.capability" in before
    assert before == after
    assert run_in(fresh, "ls /state /state/cache").split() == [b"/state:", b"cache", b"/state/cache:", b"layers"]
