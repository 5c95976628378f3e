# SPDX-License-Identifier: MIT
"""Requests to GitHub that fail for good: the error, and no release."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import requests

from builder import log
from builder.errors import BoardwrightError, DownloadError, ReleaseError, TrustError
from builder.release import github
from builder.release.publish import publish
from tests.support.github.double import FrontHandler
from tests.support.github.state import TOKEN
from tests.support.github.target import IMAGE, UPLOAD, GitHubTarget

pytestmark = pytest.mark.node


@pytest.mark.parametrize(
    ("status", "message", "headers", "only", "kind", "words"),
    [
        (401, "Bad credentials", {}, "", ReleaseError, "401: Bad credentials|make a new one"),
        (403, "Resource not accessible by integration", {}, "POST", ReleaseError, "contents: write"),
        (404, "Not Found", {}, "POST .*/releases$", ReleaseError, "404: Not Found|may the token see it"),
        (422, "Validation Failed", {}, "PATCH", ReleaseError, "422: Validation Failed"),
        (502, "", {}, IMAGE, DownloadError, "the server answered 502 Bad Gateway, 6 times|goes on from here"),
        (403, "", {"Retry-After": "3600"}, "", DownloadError, "is used up, until 09:00 UTC|goes on from here"),
        (401, f"The token {TOKEN} is no good", {}, UPLOAD, ReleaseError, "The token *** is no good"),
    ],
)
def test_trouble_is_said_and_the_token_is_not(
    github_target: GitHubTarget,
    status: int,
    message: str,
    headers: dict[str, str],
    only: str,
    kind: type[BoardwrightError],
    words: str,
) -> None:
    github_target.front.refuse(status, message, only=only, headers=headers)
    output = io.StringIO()
    with log.use(log.Json(output)), pytest.raises(kind) as caught:
        github_target.release()
    text = f"{caught.value.message} {caught.value.hint}"
    assert all(word in text for word in words.split("|")), text
    assert TOKEN not in text + output.getvalue() + repr(github_target.publisher())
    assert not any(not each["draft"] for each in github_target.front.state.releases.values())
    github_target.front.reset()
    github_target.release()
    github_target.check()


def test_damage_that_stays_is_no_release(github_target: GitHubTarget) -> None:
    def behave(handler: FrontHandler) -> bool:
        if "img.xz" in handler.path:
            handler.body = bytes(len(handler.body))
        return False

    github_target.front.behave = behave
    with pytest.raises(TrustError, match="the upload was damaged, 6 times"):
        github_target.release()
    assert github_target.front.state.release("v1.0")["draft"]


def test_a_file_that_is_lost_again_is_missed(github_target: GitHubTarget) -> None:
    def behave(handler: FrontHandler) -> bool:
        if "name=release.json" in handler.path:
            github_target.front.state.assets.clear()
        return False

    github_target.front.behave = behave
    with pytest.raises(ReleaseError, match=r"boardwright-rpi-1\.0\.img\.xz is missing or changed after its upload"):
        github_target.release()


def test_a_repository_that_is_not_there(github_target: GitHubTarget) -> None:
    github_target.repository = "octo/nothing"
    with pytest.raises(ReleaseError, match=r"https://github\.com has no repository octo/nothing"):
        github_target.release()


def test_a_tag_that_was_not_pushed(github_target: GitHubTarget) -> None:
    github_target.front.state.tags.clear()
    with pytest.raises(ReleaseError, match=r"has no tag v1\.0") as caught:
        github_target.release()
    assert caught.value.hint == "push the tag: git push origin v1.0"


def test_a_tag_that_is_another_here(github_target: GitHubTarget) -> None:
    github_target.tag_object = "b" * 40
    with pytest.raises(
        ReleaseError, match=r"tag v1\.0: found aaaaaaaaaaaa at github:octo/images; expected bbbbbbbbbbbb"
    ):
        github_target.release()


def test_a_file_that_is_too_large_is_said_before_anything_is_sent(
    github_target: GitHubTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "LARGEST_BYTES", 2000)
    with pytest.raises(ReleaseError, match=r"files of 2 GiB or more: boardwright-rpi-1\.0\.img\.xz has 2\.9 KiB"):
        github_target.release()
    assert github_target.front.asked == []


def test_a_name_that_github_changes_is_refused(github_target: GitHubTarget) -> None:
    order = github_target.order()
    (image,) = order.release_content.checked
    released = image.released
    odd = released.signed[0].model_copy(update={"name": "boardwright-rpi-1.0~x.json"})
    (image.directory / odd.name).write_bytes((image.directory / released.signed[0].name).read_bytes())
    image = replace(image, released=released.model_copy(update={"signed": [odd]}))
    with pytest.raises(ReleaseError, match=r"renamed boardwright-rpi-1\.0~x\.json to boardwright-rpi-1\.0\.x\.json"):
        publish(
            [github_target.publisher()], replace(order, release_content=replace(order.release_content, checked=[image]))
        )


def test_nobody_answers(github_target: GitHubTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="Connection refused, 6 times"):
        github_target.release()
    assert github_target.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_an_answer_that_is_no_json(github_target: GitHubTarget) -> None:
    def behave(handler: FrontHandler) -> bool:
        handler.answer(200, b"<h1>Log in to the network</h1>")
        return True

    github_target.front.behave = behave
    with pytest.raises(DownloadError, match="octo/images: the answer is no JSON") as caught:
        github_target.release()
    assert "GITHUB_API_URL" in caught.value.hint


@pytest.mark.parametrize("content", [b"<h1>Forbidden</h1>", b'["no"]'])
def test_an_error_that_github_did_not_make(github_target: GitHubTarget, content: bytes) -> None:
    def behave(handler: FrontHandler) -> bool:
        handler.answer(403, content)
        return True

    github_target.front.behave = behave
    with pytest.raises(ReleaseError, match="octo/images: GitHub answered 403: Forbidden"):
        github_target.release()


def test_a_release_json_that_is_no_text_of_ours_is_not_read(
    github_target: GitHubTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = github_target.front.state.add_release(tag_name="v1.0")
    github_target.front.state.add_asset(made["id"], "release.json", b"{}")
    with pytest.raises(ReleaseError, match=r"github:octo/images release\.json: tag: Field required"):
        github_target.release()
    monkeypatch.setattr("builder.release.github_assets.TEXT_BYTES", 1)
    with pytest.raises(DownloadError, match=r"is longer than the limit \(1 bytes\)"):
        github_target.release()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.SSLError("certificate verify failed"), "certificate was refused"),
        (requests.exceptions.TooManyRedirects("30"), "cannot be asked: TooManyRedirects"),
    ],
)
def test_what_no_repetition_repairs_is_said_at_once(
    github_target: GitHubTarget, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def request(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(requests.Session, "request", request)
    with pytest.raises(DownloadError, match=words):
        github_target.release()
    assert github_target.slept == []


def test_notes_that_are_too_long_are_cut(github_target: GitHubTarget) -> None:
    text = github._join("", "line of notes\n" * 10_000)
    assert len(text) < 125_000
    assert text.endswith("(the rest is in release.json)\n")
