# SPDX-License-Identifier: MIT
"""A release at GitHub, against GitHub's own description of its API: drafted, filled, published, compared."""

from __future__ import annotations

import pytest

from builder.errors import ReleaseError, TrustError
from builder.release.github import MARK
from builder.release.publish import dry_run
from tests.support.github.double import FrontHandler
from tests.support.github.target import GitHubTarget

pytestmark = pytest.mark.node

NAMES = [
    "boardwright-rpi-1.0.SHA256SUMS",
    "boardwright-rpi-1.0.img.xz",
    "boardwright-rpi-1.0.manifest.json",
    "boardwright-rpi-1.0.manifest.json.minisig",
    "boardwright-rpi-1.0.packages",
    "release.json",
]


def test_a_release_is_drafted_filled_and_published(github_target: GitHubTarget) -> None:
    seen = []

    def behave(handler: FrontHandler) -> bool:
        seen.append([each["draft"] for each in github_target.front.state.releases.values()])
        return False

    github_target.front.behave = behave
    release, done = github_target.release()
    github_target.check()
    assert sorted(github_target.front.state.contents("v1.0")) == NAMES
    assert all(draft == [True] for draft in seen[seen.index([True]) : -1]), "it was public before it was complete"
    made = github_target.front.state.release("v1.0")
    assert (made["name"], made["prerelease"], github_target.front.state.latest) == ("v1.0", False, "v1.0")
    assert made["body"] == f"{MARK}\n{release.notes}"
    assert done.address == made["html_url"]
    assert github_target.slept == []


def test_the_same_again_changes_nothing(github_target: GitHubTarget) -> None:
    first, _ = github_target.release()
    github_target.front.asked.clear()
    again, done = github_target.release()
    assert again == first
    assert {step.what for step in done.steps} == {"there"}
    assert [asked for asked in github_target.front.asked if not asked.startswith("GET")] == []


def test_without_doing_it_nothing_is_changed(github_target: GitHubTarget) -> None:
    (done,) = dry_run([github_target.publisher()], github_target.order())
    assert {step.what for step in done.steps} == {"send"}
    assert all(asked.startswith("GET") for asked in github_target.front.asked)


def test_a_pre_release_is_one_and_not_the_latest(github_target: GitHubTarget) -> None:
    github_target.release("v0.9")
    github_target.release("v1.0-rc1")
    github_target.check("v1.0-rc1")
    assert github_target.front.state.release("v1.0-rc1")["prerelease"]
    assert github_target.front.state.latest == "v0.9"


def test_a_repair_of_an_old_version_is_not_the_latest_unless_it_is_told_to(github_target: GitHubTarget) -> None:
    github_target.release("v2.0")
    github_target.release("v1.1")
    assert github_target.front.state.latest == "v2.0"
    github_target.release("v1.1", back=True)
    assert github_target.front.state.latest == "v1.1"


def test_notes_compare_with_the_release_before(github_target: GitHubTarget) -> None:
    github_target.front.state.page = 2  # The list of releases has several pages.
    for tag in ("v0.9", "v1.0-rc1", "v2.0"):
        github_target.release(tag)
    release, _ = github_target.release()
    assert release.previous == "v0.9"
    assert "| bash | v0.9 | v1.0 |" in release.notes
    assert "| bash | v0.9 | v1.0 |" in github_target.front.state.release("v1.0")["body"]


def test_notes_compare_with_a_release_of_another_program(github_target: GitHubTarget) -> None:
    made = github_target.front.state.add_release(tag_name="v0.9")
    rows = "name\tversion\nbash\tv0.1\n"
    github_target.front.state.add_asset(made["id"], "boardwright-rpi-0.9.packages", rows.encode())
    release, _ = github_target.release()
    assert "| bash | v0.1 | v1.0 |" in release.notes


def test_an_asset_that_has_not_the_digest_that_is_said_is_refused(github_target: GitHubTarget) -> None:
    made = github_target.front.state.add_release(tag_name="v0.9")
    asset = github_target.front.state.add_asset(made["id"], "boardwright-rpi-0.9.packages", b"bash")
    asset["digest"] = f"sha256:{'0' * 64}"
    with pytest.raises(TrustError, match=r"found sha256 [0-9a-f]+; expected sha256:"):
        github_target.release()


def test_what_a_person_wrote_into_a_draft_stays(github_target: GitHubTarget) -> None:
    made = github_target.front.state.add_release(
        tag_name="v1.0", draft=True, body="Read **this** first.\r\n", name="The first"
    )
    github_target.front.state.add_asset(made["id"], "manual.pdf", b"by hand")
    release, _ = github_target.release()
    made = github_target.front.state.release("v1.0")
    assert made["body"] == f"Read **this** first.\n\n{MARK}\n{release.notes}"
    assert (made["name"], made["draft"]) == ("The first", False)
    assert github_target.front.state.contents("v1.0")["manual.pdf"] == b"by hand"


def test_a_release_that_was_made_by_hand_for_its_tag_is_filled(github_target: GitHubTarget) -> None:
    github_target.front.state.add_release(tag_name="v1.0", body="By hand.")
    release, _ = github_target.release()
    github_target.check()
    assert github_target.front.state.release("v1.0")["body"] == f"By hand.\n\n{MARK}\n{release.notes}"


def test_a_broken_draft_is_gone_on_with(github_target: GitHubTarget) -> None:
    order = github_target.order()
    image, listing, sums = (item.path.read_bytes() for item in order.release_content.items[:3])
    state = github_target.front.state
    made = state.add_release(tag_name="v1.0", draft=True, body=f"{MARK}\nold notes")
    state.add_asset(made["id"], "boardwright-rpi-1.0.img.xz", image[:100], state="starter")
    state.add_asset(made["id"], "boardwright-rpi-1.0.packages", listing)
    state.add_asset(made["id"], "boardwright-rpi-1.0.SHA256SUMS", sums[:-1] + b"x")
    state.add_asset(made["id"], "boardwright-rpi-1.0.img.zst", b"of another build")
    state.add_asset(made["id"], "release.json", b"of another run")
    _, done = github_target.release()
    github_target.check()
    assert [step.what for step in done.steps] == ["replace", "there", "replace", "send", "send"]
    assert github_target.front.count("POST .*packages") == 0
    assert "old notes" not in state.release("v1.0")["body"]


def test_two_drafts_of_a_tag_become_one(github_target: GitHubTarget) -> None:
    for _ in range(2):
        github_target.front.state.add_release(tag_name="v1.0", draft=True, body=f"{MARK}\n")
    github_target.release()
    github_target.check()


def test_a_draft_that_another_run_makes_at_the_same_time_is_shared(github_target: GitHubTarget) -> None:
    def behave(handler: FrontHandler) -> bool:
        if handler.command == "POST" and handler.path.endswith("/releases") and not github_target.front.state.releases:
            github_target.front.state.add_release(tag_name="v1.0", draft=True, body=f"{MARK}\n")
        return False

    github_target.front.behave = behave
    github_target.release()
    github_target.check()


def test_a_release_that_somebody_publishes_at_the_same_time_is_filled(github_target: GitHubTarget) -> None:
    def behave(handler: FrontHandler) -> bool:
        if handler.command == "POST" and not github_target.front.state.releases:
            github_target.front.state.add_release(tag_name="v1.0")
        return False

    github_target.front.behave = behave
    github_target.release()
    github_target.check()
    assert github_target.slept == [1.0]


def test_a_draft_that_is_not_listed_yet_is_used(github_target: GitHubTarget) -> None:
    def behave(handler: FrontHandler) -> bool:
        is_list = handler.command == "GET" and "/releases?" in handler.path
        if is_list:
            handler.answer(200, b"[]")
        return is_list

    github_target.front.behave = behave
    github_target.release()
    github_target.check()


@pytest.mark.parametrize("name", ["boardwright-rpi-1.0.img.xz", "boardwright-rpi-1.0.img.zst"])
def test_a_public_release_does_not_change(github_target: GitHubTarget, name: str) -> None:
    made = github_target.front.state.add_release(tag_name="v1.0")
    github_target.front.state.add_asset(made["id"], name, b"another")
    with pytest.raises(ReleaseError, match=r"v1\.0 is published at github:octo/images already") as caught:
        github_target.release()
    assert "v1.0.1" in caught.value.hint
    assert github_target.front.state.contents("v1.0") == {name: b"another"}


def test_an_immutable_release_is_not_filled(github_target: GitHubTarget) -> None:
    github_target.front.state.add_release(tag_name="v1.0", immutable=True)
    with pytest.raises(ReleaseError, match=r"boardwright-rpi-1\.0\.img\.xz is missing there"):
        github_target.release()


def test_another_build_of_a_released_tag_is_refused(github_target: GitHubTarget) -> None:
    github_target.release()
    with pytest.raises(ReleaseError, match="differs there"):
        github_target.release(seed="other")
    github_target.check()


def test_a_server_that_knows_no_digests_is_read_back(github_target: GitHubTarget) -> None:
    github_target.front.state.digests = False
    github_target.release()
    github_target.check()
    github_target.front.asked.clear()
    _, done = github_target.release()
    assert {step.what for step in done.steps} == {"there"}
    assert github_target.front.count(r"GET .*/assets/\d+") == 7, "each file once, and release.json to read it"
