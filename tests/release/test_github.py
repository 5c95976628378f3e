# SPDX-License-Identifier: MIT
"""A release at GitHub: against GitHub's own description of its API, and whatever becomes of requests on the way."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from builder import log
from builder.errors import BoardwrightError, DownloadError, RecipeError, ReleaseError, TrustError
from builder.packaging.model import Release, load_release
from builder.packaging.tag import load_tag
from builder.release import github
from builder.release.channels import make_wish
from builder.release.github import MARK, GitHubPublisher
from builder.release.github_api import RETRIES, Api, load_server
from builder.release.publish import PublishRequest, TargetResult, dry_run, publish
from tests.conftest import ROOT
from tests.support.github.double import COMMIT, REPOSITORY, TOKEN, Front, FrontHandler, serve_github
from tests.support.packaged import make_package, ship

pytestmark = pytest.mark.node

NAMES = [
    "boardwright-rpi-1.0.SHA256SUMS",
    "boardwright-rpi-1.0.img.xz",
    "boardwright-rpi-1.0.package.json",
    "boardwright-rpi-1.0.package.json.minisig",
    "boardwright-rpi-1.0.packages",
    "release.json",
]
UPLOAD = "POST .*/assets"
IMAGE = r"POST .*name=boardwright-rpi-1\.0\.img\.xz"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with serve_github(tmp_path_factory.mktemp("prism") / "log") as front:
        yield front


@pytest.fixture
def front(served: Front, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Front]:
    """GitHub as it is empty but for its tags; at the end, nothing that was said was against its description, and
    nobody was told the token."""
    state = served.state
    state.base = f"http://127.0.0.1:{served.place[1]}"
    state.releases.clear()
    state.assets.clear()
    state.tags = dict.fromkeys(("v0.9", "v1.0-rc1", "v1.0", "v1.1", "v2.0"), COMMIT)
    state.latest, state.page, state.digests = "", 100, True
    monkeypatch.setenv("GITHUB_API_URL", state.base)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    for name in ("GH_TOKEN", "GITHUB_SERVER_URL", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield served
    violations = list(served.violations)
    served.reset()
    assert violations == []
    assert TOKEN not in "".join(capsys.readouterr())


@dataclass
class Site:
    """GitHub, a clock that nobody waits for, and packages made as they are needed."""

    front: Front
    root: Path
    slept: list[float] = field(default_factory=list)
    repository: str = REPOSITORY
    tag_object: str = COMMIT

    def publisher(self) -> GitHubPublisher:
        policy = replace(RETRIES, sleep=self.slept.append, now=lambda: 1_800_000_000.0 + sum(self.slept))
        return GitHubPublisher(Api(load_server(), policy), self.repository, self.tag_object)

    def order(self, tag: str = "v1.0", *, seed: str = "", back: bool = False, size_bytes: int = 3000) -> PublishRequest:
        packages = self.root / f"packages-{tag}{seed}"
        if not packages.exists():
            rows = {"bash": tag}
            make_package(packages, "rpi", load_tag(tag).version, seed=seed, rows=rows, size_bytes=size_bytes)
        wish = make_wish(load_tag(tag), (), back=back)
        return PublishRequest(ship(packages, tag), wish, "", self.root, lambda: datetime.now(UTC))

    def release(self, tag: str = "v1.0", *, seed: str = "", back: bool = False) -> tuple[Release, TargetResult]:
        release, (done,) = publish([self.publisher()], self.order(tag, seed=seed, back=back))
        return release, done

    def check(self, tag: str = "v1.0") -> None:
        """The release is public and complete, there is nothing else, and every byte is right."""
        state = self.front.state
        assert [each["tag_name"] for each in state.releases.values()].count(tag) == 1
        assert not state.release(tag)["draft"]
        contents = state.contents(tag)
        release = load_release(contents["release.json"], "")
        files = release.boards["rpi"].files
        assert sorted(contents) == sorted([*(file.name for file in files), "release.json"])
        for file in files:
            assert hashlib.sha256(contents[file.name]).hexdigest() == file.sha256
        ours = state.release(tag)["id"]
        assert {asset["state"] for of, asset, _ in state.assets.values() if of == ours} == {"uploaded"}


@pytest.fixture
def site(front: Front, tmp_path: Path) -> Site:
    return Site(front, tmp_path)


def test_a_release_is_drafted_filled_and_published(site: Site) -> None:
    seen = []

    def behave(handler: FrontHandler) -> bool:
        seen.append([each["draft"] for each in site.front.state.releases.values()])
        return False

    site.front.behave = behave
    release, done = site.release()
    site.check()
    assert sorted(site.front.state.contents("v1.0")) == NAMES
    assert all(draft == [True] for draft in seen[seen.index([True]) : -1]), "nobody saw it before it was complete"
    made = site.front.state.release("v1.0")
    assert (made["name"], made["prerelease"], site.front.state.latest) == ("v1.0", False, "v1.0")
    assert made["body"] == f"{MARK}\n{release.notes}"
    assert done.address == made["html_url"]
    assert site.slept == []


def test_the_same_again_changes_nothing(site: Site) -> None:
    first, _ = site.release()
    site.front.asked.clear()
    again, done = site.release()
    assert again == first
    assert {step.what for step in done.steps} == {"there"}
    assert [asked for asked in site.front.asked if not asked.startswith("GET")] == []


def test_without_doing_it_nothing_is_changed(site: Site) -> None:
    (done,) = dry_run([site.publisher()], site.order())
    assert {step.what for step in done.steps} == {"send"}
    assert all(asked.startswith("GET") for asked in site.front.asked)


def test_a_pre_release_is_one_and_not_the_latest(site: Site) -> None:
    site.release("v0.9")
    site.release("v1.0-rc1")
    site.check("v1.0-rc1")
    assert site.front.state.release("v1.0-rc1")["prerelease"]
    assert site.front.state.latest == "v0.9"


def test_a_repair_of_an_old_version_is_not_the_latest_unless_it_is_told_to(site: Site) -> None:
    site.release("v2.0")
    site.release("v1.1")
    assert site.front.state.latest == "v2.0"
    site.release("v1.1", back=True)
    assert site.front.state.latest == "v1.1"


def test_notes_compare_with_the_release_before(site: Site) -> None:
    site.front.state.page = 2  # The list of releases has several pages.
    for tag in ("v0.9", "v1.0-rc1", "v2.0"):
        site.release(tag)
    release, _ = site.release()
    assert release.previous == "v0.9"
    assert "| bash | v0.9 | v1.0 |" in release.notes
    assert "| bash | v0.9 | v1.0 |" in site.front.state.release("v1.0")["body"]


def test_notes_compare_with_a_release_of_another_program(site: Site) -> None:
    made = site.front.state.add_release(tag_name="v0.9")
    rows = "name\tversion\nbash\tv0.1\n"
    site.front.state.add_asset(made["id"], "boardwright-rpi-0.9.packages", rows.encode())
    release, _ = site.release()
    assert "| bash | v0.1 | v1.0 |" in release.notes


def test_an_asset_that_has_not_the_digest_that_is_said_is_refused(site: Site) -> None:
    made = site.front.state.add_release(tag_name="v0.9")
    asset = site.front.state.add_asset(made["id"], "boardwright-rpi-0.9.packages", b"bash")
    asset["digest"] = f"sha256:{'0' * 64}"
    with pytest.raises(TrustError, match=r"found sha256 [0-9a-f]+; expected sha256:"):
        site.release()


def test_what_a_person_wrote_into_a_draft_stays(site: Site) -> None:
    made = site.front.state.add_release(tag_name="v1.0", draft=True, body="Read **this** first.\r\n", name="The first")
    site.front.state.add_asset(made["id"], "manual.pdf", b"by hand")
    release, _ = site.release()
    made = site.front.state.release("v1.0")
    assert made["body"] == f"Read **this** first.\n\n{MARK}\n{release.notes}"
    assert (made["name"], made["draft"]) == ("The first", False)
    assert site.front.state.contents("v1.0")["manual.pdf"] == b"by hand"


def test_a_release_that_was_made_by_hand_for_its_tag_is_filled(site: Site) -> None:
    site.front.state.add_release(tag_name="v1.0", body="By hand.")
    release, _ = site.release()
    site.check()
    assert site.front.state.release("v1.0")["body"] == f"By hand.\n\n{MARK}\n{release.notes}"


def test_a_broken_draft_is_gone_on_with(site: Site) -> None:
    order = site.order()
    image, listing, sums = (item.path.read_bytes() for item in order.release_content.items[:3])
    state = site.front.state
    made = state.add_release(tag_name="v1.0", draft=True, body=f"{MARK}\nold notes")
    state.add_asset(made["id"], "boardwright-rpi-1.0.img.xz", image[:100], state="starter")
    state.add_asset(made["id"], "boardwright-rpi-1.0.packages", listing)
    state.add_asset(made["id"], "boardwright-rpi-1.0.SHA256SUMS", sums[:-1] + b"x")
    state.add_asset(made["id"], "boardwright-rpi-1.0.img.zst", b"of another build")
    state.add_asset(made["id"], "release.json", b"of another run")
    _, done = site.release()
    site.check()
    assert [step.what for step in done.steps] == ["replace", "there", "replace", "send", "send"]
    assert site.front.count("POST .*packages") == 0
    assert "old notes" not in state.release("v1.0")["body"]


def test_two_drafts_of_a_tag_become_one(site: Site) -> None:
    for _ in range(2):
        site.front.state.add_release(tag_name="v1.0", draft=True, body=f"{MARK}\n")
    site.release()
    site.check()


def test_a_draft_that_another_run_makes_at_the_same_time_is_shared(site: Site) -> None:
    def behave(handler: FrontHandler) -> bool:
        if handler.command == "POST" and handler.path.endswith("/releases") and not site.front.state.releases:
            site.front.state.add_release(tag_name="v1.0", draft=True, body=f"{MARK}\n")
        return False

    site.front.behave = behave
    site.release()
    site.check()


def test_a_release_that_somebody_publishes_at_the_same_time_is_filled(site: Site) -> None:
    def behave(handler: FrontHandler) -> bool:
        if handler.command == "POST" and not site.front.state.releases:
            site.front.state.add_release(tag_name="v1.0")
        return False

    site.front.behave = behave
    site.release()
    site.check()
    assert site.slept == [1.0]


def test_a_draft_that_is_not_listed_yet_is_used(site: Site) -> None:
    def behave(handler: FrontHandler) -> bool:
        is_list = handler.command == "GET" and "/releases?" in handler.path
        if is_list:
            handler.answer(200, b"[]")
        return is_list

    site.front.behave = behave
    site.release()
    site.check()


@pytest.mark.parametrize("name", ["boardwright-rpi-1.0.img.xz", "boardwright-rpi-1.0.img.zst"])
def test_a_public_release_does_not_change(site: Site, name: str) -> None:
    made = site.front.state.add_release(tag_name="v1.0")
    site.front.state.add_asset(made["id"], name, b"another")
    with pytest.raises(ReleaseError, match=r"v1\.0 is published at github:octo/images already") as caught:
        site.release()
    assert "v1.0.1" in caught.value.hint
    assert site.front.state.contents("v1.0") == {name: b"another"}


def test_an_immutable_release_is_not_filled(site: Site) -> None:
    site.front.state.add_release(tag_name="v1.0", immutable=True)
    with pytest.raises(ReleaseError, match=r"boardwright-rpi-1\.0\.img\.xz is missing there"):
        site.release()


def test_another_build_of_a_released_tag_is_refused(site: Site) -> None:
    site.release()
    with pytest.raises(ReleaseError, match="differs there"):
        site.release(seed="other")
    site.check()


def test_a_server_that_knows_no_digests_is_read_back(site: Site) -> None:
    site.front.state.digests = False
    site.release()
    site.check()
    site.front.asked.clear()
    _, done = site.release()
    assert {step.what for step in done.steps} == {"there"}
    assert site.front.count(r"GET .*/assets/\d+") == 7, "each file once, and release.json to read it"


# trouble that passes


def test_an_upload_that_breaks_off_is_repeated_without_its_half(site: Site) -> None:
    left = [2]

    def receive(handler: FrontHandler, size: int) -> bytes:
        if not left[0] or "img.xz" not in handler.path:
            return handler.rfile.read(size)
        left[0] -= 1
        content = handler.rfile.read(size // 2)
        release = site.front.state.release("v1.0")
        site.front.state.add_asset(release["id"], "boardwright-rpi-1.0.img.xz", content, state="starter")
        handler.hang_up()
        raise ConnectionResetError

    site.front.receive = receive
    site.release()
    site.check()
    assert (site.front.count(IMAGE), site.front.count("DELETE .*assets")) == (3, 2)
    assert site.slept == [1.0, 2.0]


def test_an_upload_whose_answer_is_lost_is_not_repeated(site: Site) -> None:
    left = [1]

    def behave(handler: FrontHandler) -> bool:
        if not left[0] or "img.xz" not in handler.path:
            return False
        left[0] -= 1
        handler.pass_on(lose=True)
        return True

    site.front.behave = behave
    site.release()
    site.check()
    assert site.front.count(IMAGE) == 1


def test_a_draft_whose_answer_is_lost_is_not_made_twice(site: Site) -> None:
    left = [1]

    def behave(handler: FrontHandler) -> bool:
        if not left[0] or handler.command != "POST":
            return False
        left[0] -= 1
        handler.pass_on(lose=True)
        return True

    site.front.behave = behave
    site.release()
    site.check()
    assert site.front.count("POST .*/releases$") == 1


def test_damage_on_the_way_is_repaired(site: Site) -> None:
    left = [1]

    def behave(handler: FrontHandler) -> bool:
        if left[0] and "img.xz" in handler.path:
            left[0] -= 1
            handler.body = bytes(len(handler.body))
        return False

    site.front.behave = behave
    site.release()
    site.check()
    assert site.front.count("DELETE .*assets") == 1


def test_a_file_that_another_run_uploads_at_the_same_time_is_taken(site: Site) -> None:
    order = site.order()

    def behave(handler: FrontHandler) -> bool:
        made = site.front.state.release("v1.0") if site.front.state.releases else None
        if made and "name=boardwright-rpi-1.0.img.xz" in handler.path and not site.front.state.contents("v1.0"):
            item = order.release_content.items[0]
            site.front.state.add_asset(made["id"], item.file.name, item.path.read_bytes())
        return False

    site.front.behave = behave
    site.release()
    site.check()
    assert site.front.count("DELETE") == 0


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
    site: Site, status: int, message: str, headers: dict[str, str], only: str, pause_s: float
) -> None:
    site.front.refuse(status, message, only=only, times=1, headers=headers)
    site.release()
    site.check()
    assert site.slept == [pause_s]


def test_a_github_that_is_silent_is_asked_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.release.github_api.TIMEOUT_S", (0.5, 0.5))
    over, left = threading.Event(), [1]

    def behave(handler: FrontHandler) -> bool:
        if not left[0] or handler.command != "PATCH":
            return False
        left[0] -= 1
        over.wait(30)
        handler.close_connection = True
        return True

    site.front.behave = behave
    try:
        site.release()
    finally:
        over.set()
    site.check()
    assert site.slept == [1.0]


# trouble that stays


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
    site: Site, status: int, message: str, headers: dict[str, str], only: str, kind: type[BoardwrightError], words: str
) -> None:
    site.front.refuse(status, message, only=only, headers=headers)
    story = io.StringIO()
    with log.use(log.Json(story)), pytest.raises(kind) as caught:
        site.release()
    said = f"{caught.value.message} {caught.value.hint}"
    assert all(word in said for word in words.split("|")), said
    assert TOKEN not in said + story.getvalue() + repr(site.publisher())
    assert not any(not each["draft"] for each in site.front.state.releases.values())
    site.front.reset()
    site.release()
    site.check()


def test_damage_that_stays_is_no_release(site: Site) -> None:
    def behave(handler: FrontHandler) -> bool:
        if "img.xz" in handler.path:
            handler.body = bytes(len(handler.body))
        return False

    site.front.behave = behave
    with pytest.raises(TrustError, match="the upload was damaged, 6 times"):
        site.release()
    assert site.front.state.release("v1.0")["draft"]


def test_a_file_that_is_lost_again_is_missed(site: Site) -> None:
    def behave(handler: FrontHandler) -> bool:
        if "name=release.json" in handler.path:
            site.front.state.assets.clear()
        return False

    site.front.behave = behave
    with pytest.raises(ReleaseError, match=r"boardwright-rpi-1\.0\.img\.xz is missing or changed after its upload"):
        site.release()


def test_a_repository_that_is_not_there(site: Site) -> None:
    site.repository = "octo/nothing"
    with pytest.raises(ReleaseError, match=r"https://github\.com has no repository octo/nothing"):
        site.release()


def test_a_tag_that_was_not_pushed(site: Site) -> None:
    site.front.state.tags.clear()
    with pytest.raises(ReleaseError, match=r"has no tag v1\.0") as caught:
        site.release()
    assert caught.value.hint == "push the tag: git push origin v1.0"


def test_a_tag_that_is_another_here(site: Site) -> None:
    site.tag_object = "b" * 40
    with pytest.raises(
        ReleaseError, match=r"tag v1\.0: found aaaaaaaaaaaa at github:octo/images; expected bbbbbbbbbbbb"
    ):
        site.release()


def test_a_file_that_is_too_large_is_said_before_anything_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "LARGEST_BYTES", 2000)
    with pytest.raises(ReleaseError, match=r"files of 2 GiB or more: boardwright-rpi-1\.0\.img\.xz has 2\.9 KiB"):
        site.release()
    assert site.front.asked == []


def test_a_name_that_github_changes_is_refused(site: Site) -> None:
    order = site.order()
    (image,) = order.release_content.checked
    released = image.released
    odd = released.signed[0].model_copy(update={"name": "boardwright-rpi-1.0~x.json"})
    (image.directory / odd.name).write_bytes((image.directory / released.signed[0].name).read_bytes())
    image = replace(image, released=released.model_copy(update={"signed": [odd]}))
    with pytest.raises(ReleaseError, match=r"renamed boardwright-rpi-1\.0~x\.json to boardwright-rpi-1\.0\.x\.json"):
        publish([site.publisher()], replace(order, release_content=replace(order.release_content, checked=[image])))


def test_nobody_answers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="Connection refused, 6 times"):
        site.release()
    assert site.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_an_answer_that_is_no_json(site: Site) -> None:
    def behave(handler: FrontHandler) -> bool:
        handler.answer(200, b"<h1>Log in to the network</h1>")
        return True

    site.front.behave = behave
    with pytest.raises(DownloadError, match="octo/images: the answer is no JSON") as caught:
        site.release()
    assert "GITHUB_API_URL" in caught.value.hint


@pytest.mark.parametrize("content", [b"<h1>Forbidden</h1>", b'["no"]'])
def test_an_error_that_github_did_not_make(site: Site, content: bytes) -> None:
    def behave(handler: FrontHandler) -> bool:
        handler.answer(403, content)
        return True

    site.front.behave = behave
    with pytest.raises(ReleaseError, match="octo/images: GitHub answered 403: Forbidden"):
        site.release()


def test_a_release_json_that_is_no_text_of_ours_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made = site.front.state.add_release(tag_name="v1.0")
    site.front.state.add_asset(made["id"], "release.json", b"{}")
    with pytest.raises(ReleaseError, match=r"github:octo/images release\.json: tag: Field required"):
        site.release()
    monkeypatch.setattr("builder.release.github_assets.TEXT_BYTES", 1)
    with pytest.raises(DownloadError, match=r"is longer than the limit \(1 bytes\)"):
        site.release()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.SSLError("certificate verify failed"), "certificate was refused"),
        (requests.exceptions.TooManyRedirects("30"), "cannot be asked: TooManyRedirects"),
    ],
)
def test_what_no_repetition_repairs_is_said_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def request(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(requests.Session, "request", request)
    with pytest.raises(DownloadError, match=words):
        site.release()
    assert site.slept == []


def test_notes_that_are_too_long_are_cut(site: Site) -> None:
    text = github._join("", "line of notes\n" * 10_000)
    assert len(text) < 125_000
    assert text.endswith("(the rest is in release.json)\n")


# the command line


def run(site: Site, *words: str) -> list[str]:
    packages = site.order(size_bytes=400_000).release_content.checked[0].directory.parent
    to = ["--to", f"github:{REPOSITORY}", "--to", f"dir:{site.root}/public"]
    more = ["--packaged", packages, "--board", "rpi", *to, *words]
    return [sys.executable, "-m", "tests.support.any_content", "release", "v1.0", *map(str, more)]


def environment(site: Site) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "GITHUB_API_URL": site.front.state.base}


def test_a_killed_run_and_the_next_make_one_release(site: Site) -> None:
    half, killed = threading.Event(), threading.Event()

    def receive(handler: FrontHandler, size: int) -> bytes:
        if "name=boardwright-rpi-1.0.SHA256SUMS" not in handler.path:
            return handler.rfile.read(size)
        content = handler.rfile.read(size // 2)
        made = site.front.state.release("v1.0")
        site.front.state.add_asset(made["id"], "boardwright-rpi-1.0.SHA256SUMS", content, state="starter")
        half.set()
        killed.wait(30)
        raise ConnectionResetError

    site.front.receive = receive
    with subprocess.Popen(run(site), cwd=site.root, env=environment(site)) as process:
        assert half.wait(30)
        process.kill()
    killed.set()
    assert site.front.state.release("v1.0")["draft"]
    assert not (site.root / "public/v1.0/release.json").exists()
    site.front.reset()
    done = subprocess.run(
        run(site, "--json"), cwd=site.root, env=environment(site), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    site.check()
    assert [site.front.count(pattern) for pattern in (IMAGE, "POST .*SHA256SUMS", "POST .*/releases$")] == [0, 1, 0]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (result,) = [event for event in events if event["kind"] == "result"]
    assert [each["target"] for each in result["data"]["targets"]] == [f"github:{REPOSITORY}", f"dir:{site.root}/public"]
    assert [each["what"] for each in result["data"]["targets"][0]["files"]] == [
        "there",
        "there",
        "replace",
        "send",
        "send",
    ]
    public = (site.root / "public/v1.0/release.json").read_bytes()
    assert public == site.front.state.contents("v1.0")["release.json"]
    assert TOKEN not in done.stdout + done.stderr


# whom is asked, as whom


def test_the_environment_names_the_server_and_the_token() -> None:
    assert load_server({"GH_TOKEN": "t"}).api == "https://api.github.com"
    enterprise = load_server({"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://git.example/"})
    assert (enterprise.api, enterprise.web) == ("https://git.example/api/v3", "https://git.example")
    named = {"GITHUB_TOKEN": "t", "GH_TOKEN": "u", "GITHUB_API_URL": "https://a.example"}
    assert (load_server(named).api, load_server(named).token) == ("https://a.example", "t")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"GITHUB_TOKEN": ""}, "there is no token"),
        ({"GITHUB_TOKEN": "two words"}, "characters that no token has"),
        ({"GITHUB_API_URL": "http://git.example"}, "would show the token to everybody"),
        ({"GITHUB_API_URL": "ftp://git.example"}, "is no plain address"),
        ({"GITHUB_SERVER_URL": "https://joe:hunter2@git.example"}, "is no plain address"),
    ],
)
def test_a_wrong_environment_is_said(values: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        load_server({"GITHUB_TOKEN": "t", **values})
    assert "hunter2" not in caught.value.message


def test_what_netrc_says_is_not_for_us(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.root / "netrc").write_text("machine 127.0.0.1 login joe password hunter2\n")
    monkeypatch.setenv("NETRC", str(site.root / "netrc"))
    site.release()
    site.check()


def test_an_upload_is_not_sent_where_it_is_less_safe(site: Site) -> None:
    def behave(handler: FrontHandler) -> Any:
        for each in site.front.state.releases.values():
            each["upload_url"] = "ftp://elsewhere.example/{?name,label}"
        return False

    site.front.behave = behave
    site.front.state.add_release(tag_name="v1.0", draft=True)
    with pytest.raises(ReleaseError, match="is not as safe as"):
        site.release()
