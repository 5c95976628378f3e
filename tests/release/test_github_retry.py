# SPDX-License-Identifier: MIT
"""Requests to GitHub that fail once: repeated without a second draft, asset or release; a killed run is continued."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from tests.conftest import ROOT
from tests.support.github.double import FrontHandler
from tests.support.github.state import REPOSITORY, TOKEN
from tests.support.github.target import IMAGE, UPLOAD, GitHubTarget

pytestmark = pytest.mark.node


def test_an_upload_that_breaks_off_is_repeated_without_its_half(github_target: GitHubTarget) -> None:
    left = [2]

    def receive(handler: FrontHandler, size: int) -> bytes:
        if not left[0] or "img.xz" not in handler.path:
            return handler.rfile.read(size)
        left[0] -= 1
        content = handler.rfile.read(size // 2)
        release = github_target.front.state.release("v1.0")
        github_target.front.state.add_asset(release["id"], "boardwright-rpi-1.0.img.xz", content, state="starter")
        handler.hang_up()
        raise ConnectionResetError

    github_target.front.receive = receive
    github_target.release()
    github_target.check()
    assert (github_target.front.count(IMAGE), github_target.front.count("DELETE .*assets")) == (3, 2)
    assert github_target.slept == [1.0, 2.0]


def test_an_upload_whose_answer_is_lost_is_not_repeated(github_target: GitHubTarget) -> None:
    left = [1]

    def behave(handler: FrontHandler) -> bool:
        if not left[0] or "img.xz" not in handler.path:
            return False
        left[0] -= 1
        handler.pass_on(lose=True)
        return True

    github_target.front.behave = behave
    github_target.release()
    github_target.check()
    assert github_target.front.count(IMAGE) == 1


def test_a_draft_whose_answer_is_lost_is_not_made_twice(github_target: GitHubTarget) -> None:
    left = [1]

    def behave(handler: FrontHandler) -> bool:
        if not left[0] or handler.command != "POST":
            return False
        left[0] -= 1
        handler.pass_on(lose=True)
        return True

    github_target.front.behave = behave
    github_target.release()
    github_target.check()
    assert github_target.front.count("POST .*/releases$") == 1


def test_damage_on_the_way_is_repaired(github_target: GitHubTarget) -> None:
    left = [1]

    def behave(handler: FrontHandler) -> bool:
        if left[0] and "img.xz" in handler.path:
            left[0] -= 1
            handler.body = bytes(len(handler.body))
        return False

    github_target.front.behave = behave
    github_target.release()
    github_target.check()
    assert github_target.front.count("DELETE .*assets") == 1


def test_a_file_that_another_run_uploads_at_the_same_time_is_taken(github_target: GitHubTarget) -> None:
    order = github_target.order()

    def behave(handler: FrontHandler) -> bool:
        made = github_target.front.state.release("v1.0") if github_target.front.state.releases else None
        if (
            made
            and "name=boardwright-rpi-1.0.img.xz" in handler.path
            and not github_target.front.state.contents("v1.0")
        ):
            item = order.release_content.items[0]
            github_target.front.state.add_asset(made["id"], item.file.name, item.path.read_bytes())
        return False

    github_target.front.behave = behave
    github_target.release()
    github_target.check()
    assert github_target.front.count("DELETE") == 0


@pytest.mark.parametrize(
    ("status", "message", "headers", "only", "pause_s"),
    [
        (502, "", {}, IMAGE, 1.0),
        (500, "", {}, "PATCH", 1.0),
        (503, "", {"Retry-After": "7"}, "GET", 7.0),
        (429, "", {"Retry-After": "30"}, UPLOAD, 30.0),
        (403, "You have exceeded a secondary rate limit.", {}, "POST .*/releases$", 60.0),
        (403, "", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000600"}, "GET", 601.0),
        (429, "", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000000"}, "GET", 1.0),
    ],
)
def test_a_busy_github_is_waited_for(
    github_target: GitHubTarget, status: int, message: str, headers: dict[str, str], only: str, pause_s: float
) -> None:
    github_target.front.refuse(status, message, only=only, times=1, headers=headers)
    github_target.release()
    github_target.check()
    assert github_target.slept == [pause_s]


def test_a_github_that_is_silent_is_asked_again(github_target: GitHubTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.release.github_api.TIMEOUT_S", (0.5, 0.5))
    over, left = threading.Event(), [1]

    def behave(handler: FrontHandler) -> bool:
        if not left[0] or handler.command != "PATCH":
            return False
        left[0] -= 1
        over.wait(30)
        handler.close_connection = True
        return True

    github_target.front.behave = behave
    try:
        github_target.release()
    finally:
        over.set()
    github_target.check()
    assert github_target.slept == [1.0]


def run(github_target: GitHubTarget, *words: str) -> list[str]:
    packages = github_target.order(size_bytes=400_000).release_content.checked[0].directory.parent
    to = ["--to", f"github:{REPOSITORY}", "--to", f"dir:{github_target.root}/public"]
    more = ["--packaged", packages, "--board", "rpi", *to, *words]
    return [sys.executable, "-m", "tests.support.any_content", "release", "v1.0", *map(str, more)]


def environment(github_target: GitHubTarget) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "GITHUB_API_URL": github_target.front.state.base}


def test_a_killed_run_and_the_next_make_one_release(github_target: GitHubTarget) -> None:
    half, killed = threading.Event(), threading.Event()

    def receive(handler: FrontHandler, size: int) -> bytes:
        if "name=boardwright-rpi-1.0.SHA256SUMS" not in handler.path:
            return handler.rfile.read(size)
        content = handler.rfile.read(size // 2)
        made = github_target.front.state.release("v1.0")
        github_target.front.state.add_asset(made["id"], "boardwright-rpi-1.0.SHA256SUMS", content, state="starter")
        half.set()
        killed.wait(30)
        raise ConnectionResetError

    github_target.front.receive = receive
    with subprocess.Popen(run(github_target), cwd=github_target.root, env=environment(github_target)) as process:
        assert half.wait(30)
        process.kill()
    killed.set()
    assert github_target.front.state.release("v1.0")["draft"]
    assert not (github_target.root / "public/v1.0/release.json").exists()
    github_target.front.reset()
    done = subprocess.run(
        run(github_target, "--json"),
        cwd=github_target.root,
        env=environment(github_target),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    github_target.check()
    assert [github_target.front.count(pattern) for pattern in (IMAGE, "POST .*SHA256SUMS", "POST .*/releases$")] == [
        0,
        1,
        0,
    ]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (result,) = [event for event in events if event["kind"] == "result"]
    assert [each["target"] for each in result["data"]["targets"]] == [
        f"github:{REPOSITORY}",
        f"dir:{github_target.root}/public",
    ]
    assert [each["what"] for each in result["data"]["targets"][0]["files"]] == [
        "there",
        "there",
        "replace",
        "send",
        "send",
    ]
    public = (github_target.root / "public/v1.0/release.json").read_bytes()
    assert public == github_target.front.state.contents("v1.0")["release.json"]
    assert TOKEN not in done.stdout + done.stderr
