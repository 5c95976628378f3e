# SPDX-License-Identifier: MIT
"""What a GitHub answers: taken as it is, or an error on one line. Without a server."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import BoardwrightError, DownloadError, ReleaseError
from builder.fetch import sources
from builder.fetch.sources import GitHubSource
from builder.net.retry import TemporaryError, retry
from builder.release.github_api import RETRIES, Api, ApiResponse, Server
from builder.release.github_model import ApiRepository, Asset, FoundRelease, GitRef, ListedRelease, Refusal
from tests.support.hostile import TEXT, WRONG, Documents, Place, check_message, read

DIGEST = f"sha256:{'ab' * 32}"
URL = "https://github.com/o/r/releases/1"
ASSET = {"id": 5, "name": "x.img.xz", "state": "uploaded", "size": 3, "digest": DIGEST, "label": ""}
FOUND = {"id": 1, "tag_name": "v1.0", "draft": True, "name": None, "body": "Notes\n", "html_url": URL}
DOCUMENTS: dict[str, tuple[type[Any], Any]] = {
    "asset": (Asset, ASSET),
    "found": (FoundRelease, FOUND | {"immutable": False, "upload_url": URL + "/assets{?name,label}"}),
    "listed": (ListedRelease, {"tag_name": "v1.0", "draft": False, "assets": [{"name": "release.json"}]}),
    "repository": (ApiRepository, {"full_name": "octo/images.of-boards"}),
    "ref": (GitRef, {"object": {"sha": "ab" * 20}}),
    "refusal": (Refusal, {"message": "Bad", "errors": [{"field": "name", "code": "no", "message": "none"}]}),
}
API = Api(Server(token="secret"), replace(RETRIES, attempts=2, sleep=lambda _: None))


def answer(content: bytes, status: int = 200, **headers: str) -> ApiResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiResponse("https://api.github.com/repos/o/r", status, named, content)


def load(name: str, content: bytes) -> Any:
    """Return what is read; None where it is refused in a proper way."""
    try:
        return API.load(answer(content), DOCUMENTS[name][0])
    except DownloadError as error:
        refusal = error
    check_message(refusal.message)
    assert refusal.hint
    return None


def check(place: Place, text: str, found: Any) -> None:
    _, path, is_key = place
    assert is_key or path == ("label",) or read(found.model_dump(), path) == text


ANSWERS = Documents({name: document for name, (_, document) in DOCUMENTS.items()}, load, check)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_good_answers_are_read(name: str) -> None:
    kind, document = DOCUMENTS[name]
    assert load(name, json.dumps(document | {"more": [1]}).encode()) == kind.model_validate(document)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_hostile_text_in_each_place(name: str) -> None:
    ANSWERS.put_texts(name)


@given(place=st.sampled_from(ANSWERS.find_places()), text=TEXT)
@settings(max_examples=100, deadline=None)
def test_any_text_in_any_place(place: Place, text: str) -> None:
    ANSWERS.put_text(place, text)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_of_a_wrong_kind_is_refused(name: str) -> None:
    ANSWERS.put_wrong(name)
    for wrong in WRONG:
        assert load(name, wrong) is None or (name == "refusal" and wrong in (b"{}", b'{"": ""}', b'{"a": {"a": []}}'))


@pytest.mark.parametrize("name", ["../..", "a/..", "a/.", "a/b/c", "/x", "a/b?x", "a%2f/b", "-a/b", ""])
def test_a_repository_does_not_lead_elsewhere(name: str) -> None:
    assert load("repository", json.dumps({"full_name": name}).encode()) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
def test_a_refusal_is_said_on_one_line(status: int) -> None:
    for wrong in (*WRONG, b'{"message": "a\\nb\\u001b[2J", "errors": 5}'):
        for content in (wrong, b'{"message": %s}' % wrong, b'{"message": "no", "errors": [%s]}' % wrong):
            check_message(str(API._judge(answer(content, status), "/repos/o/r")))


def test_the_words_of_a_refusal_are_shown_in_part() -> None:
    content = b'{"message": "a\\nb\\u001b[2J secret", "errors": [{"field": "name", "code": "%s"}]}' % (b"x" * 9000)
    problem = API._judge(answer(content, 400), "/repos/o/r")
    assert isinstance(problem, ReleaseError)
    assert problem.message.startswith(r"github o/r: GitHub answered 400: a\nb\x1b[2J ***: name xxx")
    assert len(problem.message) < 600


@pytest.mark.parametrize("seconds", ["9" * 400, "9" * 15, "9999999999"])
@pytest.mark.parametrize("header", ["Retry_After", "X_RateLimit_Reset"])
def test_a_pause_without_an_end_is_not_made(seconds: str, header: str) -> None:
    headers = {header: seconds, "X_RateLimit_Remaining": "0"}
    problem = API._judge(answer(b"{}", 429, **headers), "/repos/o/r")
    assert isinstance(problem, TemporaryError)

    def act() -> None:
        raise problem

    with pytest.raises(DownloadError, match="the limit of requests is used up, until "):
        retry(API.policy, "github o/r", act)


def test_a_list_of_releases_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = (b"%s", b"[%s]", b'[{"tag_name": "v1", "assets": %s}]', b'[{"tag_name": %s}]')
    for content in (form % wrong for form, wrong in product(forms, WRONG)):
        monkeypatch.setattr(sources, "read", lambda _, content=content: content)
        with pytest.raises(BoardwrightError, match=r"not a list of releases|has no release with") as caught:
            GitHubSource("o", "r").newest("latest")
        check_message(caught.value.message)
