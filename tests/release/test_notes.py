# SPDX-License-Identifier: MIT
"""Notes say what changed, what people look for first, and nothing that Markdown would take for its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from builder.packaging.model import PackagedPartition, Release, Released
from builder.release.git_history import Commit, find_commit, find_tag_object, list_commits
from builder.release.notes import compare, read_packages, render_notes
from builder.release.target import Previous
from builder.system.process import run
from tests.support.packaged import COLUMNS, ROWS, make_package, ship

AFTER = {
    "docker.io": "27.0-1",
    "linux-image-6.12.57+deb13-arm64": "6.12.57-1",
    "bash": "5.2.37-2",
    "new_one": "1.0*",
}
BOOT = PackagedPartition(name="boot", filesystem="fat32", size_bytes=2**29, mount="/boot/firmware")
ROOT = PackagedPartition(name="root", filesystem="ext4", size_bytes=2**31, mount="/")


def listing(rows: dict[str, str]) -> str:
    return COLUMNS + "".join(f"{name}\t{version}\tarm64\t1\n" for name, version in rows.items())


def previous(root: Path, *, partitions: tuple[PackagedPartition, ...] = (), board: str = "rpi") -> Previous:
    package = make_package(root, board, "0.9", partitions=partitions)
    release = Release(
        tag="v0.9",
        version="0.9",
        prerelease=False,
        date=datetime(2026, 1, 1, tzinfo=UTC),
        notes="",
        boards={board: Released(image=package, signed=[])},
    )
    return Previous("v0.9", release, {board: listing(ROWS)})


def test_the_first_release_lists_its_images(tmp_path: Path) -> None:
    package = make_package(tmp_path, "rpi")
    assert render_notes(ship(tmp_path), None, []).splitlines() == [
        "| Board | Image | Size | SHA-256 |",
        "|---|---|---|---|",
        f"| The board rpi (`rpi`) | boardwright-rpi-1.0.img.xz | 2.9 KiB | `{package.files[0].sha256}` |",
    ]


def test_packages_partitions_and_commits_are_compared(tmp_path: Path) -> None:
    make_package(tmp_path / "now", "rpi", rows=AFTER, partitions=(BOOT, ROOT.model_copy(update={"size_bytes": 2**32})))
    before = previous(tmp_path / "before", partitions=(BOOT, ROOT))
    notes = render_notes(ship(tmp_path / "now"), before, [Commit("abc1234", "boards: drop <blink> & *stars*")])
    assert notes.splitlines()[4:] == [
        "## The board rpi (`rpi`) since v0.9",
        "",
        "| Partition | Before | Now |",
        "|---|---|---|",
        "| root | ext4 2 GiB / | ext4 4 GiB / |",
        "",
        "Packages: 2 changed, 1 added, 1 removed.",
        "",
        "| Package | Before | Now |",
        "|---|---|---|",
        "| **linux-image-arm64** | 6.12.48-1 | 6.12.57-1 |",
        "| **docker.io** | 26.1.5-1 | 27.0-1 |",
        "",
        "| Package | Before | Now |",
        "|---|---|---|",
        "| gone | 1.0 | removed |",
        "| new\\_one | added | 1.0\\* |",
        "",
        "",
        "## Commits since v0.9",
        "",
        "- abc1234 boards: drop &lt;blink&gt; &amp; \\*stars\\*",
    ]


def test_the_same_packages_are_said_to_be_the_same(tmp_path: Path) -> None:
    make_package(tmp_path / "now", "rpi")
    notes = render_notes(ship(tmp_path / "now"), previous(tmp_path / "before"), None)
    assert "The packages are the same." in notes
    assert "Commits" not in notes


def test_a_board_that_is_new_is_said_to_be_new(tmp_path: Path) -> None:
    make_package(tmp_path / "now", "rpi")
    notes = render_notes(ship(tmp_path / "now"), previous(tmp_path / "before", board="rpi5"), None)
    assert "New: v0.9 had no image for this board." in notes


def test_many_rows_are_folded(tmp_path: Path) -> None:
    make_package(tmp_path / "now", "rpi", rows=ROWS | {f"p{number}": "1" for number in range(40)})
    commits = [Commit("abc1234", f"subject {number}") for number in range(30)]
    notes = render_notes(ship(tmp_path / "now"), previous(tmp_path / "before"), commits)
    assert "<details><summary>40 packages</summary>" in notes
    assert "<details><summary>30 commits</summary>" in notes


def test_what_strangers_write_stays_on_its_line(tmp_path: Path) -> None:
    """The list of the release before comes from a server, subjects from the author of a commit."""
    make_package(tmp_path / "now", "rpi", rows=ROWS)
    before = previous(tmp_path / "before")
    listed = listing(ROWS | {"<img src=x>|[a](b)\x1b[2J": "1", "docker\u202e`x`": "2\x07"})
    subject = "one\x1b[2J\u202e <b>"
    notes = render_notes(
        ship(tmp_path / "now"), Previous("v0.9", before.release, {"rpi": listed}), [Commit("abc1234", subject)]
    )
    assert r"| &lt;img src=x&gt;\|\[a\](b)\\x1b\[2J | 1 | removed |" in notes
    assert r"| **docker\\u202e\`x\`** | 2\\x07 | removed |" in notes
    assert r"- abc1234 one\\x1b\[2J\\u202e &lt;b&gt;" in notes
    assert before.release
    assert Release.model_validate(before.release.model_dump() | {"notes": notes}).notes == notes


def test_notes_have_an_end(tmp_path: Path) -> None:
    make_package(tmp_path / "now", "rpi")
    before = previous(tmp_path / "before").release
    listed = listing({f"p{number}": "1" * 100 for number in range(20_000)})
    notes = render_notes(ship(tmp_path / "now"), Previous("v0.9", before, {"rpi": listed}), [])
    assert notes.endswith("What changed since v0.9 is left out: it is longer than 1 MiB.\n")
    assert "boardwright-rpi-1.0.img.xz" in notes


def test_of_one_name_all_versions_count() -> None:
    text = COLUMNS + "libc6\t2\tarm64\t1\nlibc6\t1\tarmhf\t1\nlibc6\t2\ti386\t1\nnot a row\n"
    assert read_packages(text) == {"libc6": "1, 2"}
    assert read_packages("") == {}


def test_kernel_and_docker_come_first() -> None:
    names = ["aaa", "docker.io", "linux-image-arm64", "systemd"]
    assert [change.name for change in compare({}, dict.fromkeys(names, "1"))] == [
        "linux-image-arm64",
        "docker.io",
        "systemd",
        "aaa",
    ]


def test_git_says_what_was_done_since_a_tag(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        names = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
        return run(["git", "-C", tmp_path, *words], env=dict.fromkeys(names, "somebody")).stdout.strip()

    git("init", "--quiet")
    for subject, tag in (("one", "v0.9"), ("two", ""), ("three", "v1.0")):
        git("commit", "--quiet", "--allow-empty", "-m", subject)
        if tag:
            git("tag", "-m", tag, tag)
    found = list_commits(tmp_path, "v0.9", "v1.0")
    assert found
    assert [each.subject for each in found] == ["three", "two"]
    assert find_commit(tmp_path, "v1.0") == git("rev-parse", "HEAD")
    assert find_tag_object(tmp_path, "v1.0") == git("rev-parse", "v1.0") != find_commit(tmp_path, "v1.0")
    assert list_commits(tmp_path, "v0.1", "v1.0") is None
    assert find_tag_object(tmp_path, "v0.1") == find_commit(tmp_path / "nowhere", "v1.0") == ""
