# SPDX-License-Identifier: MIT
"""Version and time of a checkout, asked of a real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from builder import log
from builder.release.git_history import list_commits
from builder.system.git import find_epoch, find_version

WHEN = 1_700_000_000


def _git(directory: Path, *words: str) -> str:
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false"]
    stamp = {"GIT_AUTHOR_DATE": f"{WHEN} +0000", "GIT_COMMITTER_DATE": f"{WHEN} +0000"}
    argv = ["git", "-C", str(directory), *who, *words]
    environment = {**os.environ, **stamp}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "--quiet")
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/file").touch()
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message=first")
    return tmp_path


def test_a_tagged_checkout(checkout: Path) -> None:
    _git(checkout, "tag", "v1.2.3")
    assert find_version(checkout / "boards") == "v1.2.3"
    assert find_epoch(checkout / "boards") == WHEN


def test_a_commit_without_tag(checkout: Path) -> None:
    version = find_version(checkout)
    assert len(version) >= 7
    assert int(version, 16)


def test_changed_files_show(checkout: Path) -> None:
    _git(checkout, "tag", "v1.2.3")
    (checkout / "boards/file").write_text("changed")
    assert find_version(checkout) == "v1.2.3-dirty"


def test_a_new_file_of_a_board_shows(checkout: Path) -> None:
    _git(checkout, "tag", "v1.2.3")
    (checkout / "boards/mine/files").mkdir(parents=True)
    assert find_version(checkout / "boards") == "v1.2.3"
    (checkout / "boards/mine/files/motd").touch()
    assert find_version(checkout / "boards") == "v1.2.3-dirty"
    (checkout / "boards/file").write_text("changed")
    assert find_version(checkout / "boards") == "v1.2.3-dirty"


def test_new_files_that_no_build_takes_do_not_show(checkout: Path) -> None:
    (checkout / ".gitignore").write_text("*.swp\n")
    _git(checkout, "add", ".gitignore")
    _git(checkout, "commit", "--quiet", "--message=second")
    _git(checkout, "tag", "v1.2.3")
    for name in ("boards/.file.swp", "notes"):
        (checkout / name).touch()
    assert find_version(checkout / "boards") == "v1.2.3"


def test_outside_of_git(tmp_path: Path) -> None:
    assert (find_version(tmp_path), find_epoch(tmp_path)) == ("dirty", None)


def test_without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.system.tools.search_path", lambda: str(checkout))
    assert (find_version(checkout), find_epoch(checkout)) == ("dirty", None)


@pytest.mark.machine
def test_a_checkout_of_another_user_is_said(checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _git(checkout, "tag", "v3.0")
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    warnings: list[str] = []
    monkeypatch.setattr(log, "warn", warnings.append)
    assert (find_version(checkout), find_epoch(checkout)) == ("dirty", None)
    assert len(warnings) == 1
    assert f"git config --global --add safe.directory {checkout}" in warnings[0]


@pytest.mark.parametrize("how", ["monitor", "hook", "signature", "transport"])
def test_a_checkout_of_a_stranger_starts_no_program(checkout: Path, tmp_path: Path, how: str) -> None:
    """What a .git of a stranger holds, where it was not cloned but unpacked."""
    mark = tmp_path / "boards/mark"
    program = tmp_path / ".git/hooks/post-index-change"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    if how == "signature":
        _sign_last_commit(checkout)
    elif how == "transport":
        _lose_last_tree(checkout)
    settings = {
        "monitor": {"core.fsmonitor": f"touch {mark}; false"},
        "hook": {},
        "signature": {"log.showSignature": "true", "gpg.program": str(program)},
        "transport": {
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "origin",
            "remote.origin.url": "elsewhere",
            "remote.origin.uploadPack": str(program),
        },
    }
    for name, value in settings[how].items():
        _git(checkout, "config", name, value)
    os.utime(checkout / "boards/file", (1, 1))  # git has to look at it, and writes down what it found.
    find_version(checkout / "boards")
    assert find_epoch(checkout / "boards") == WHEN
    list_commits(checkout, "before", "after")
    assert not mark.exists()


def _sign_last_commit(checkout: Path) -> None:
    """Give the last commit a signature, which no key made."""
    head, _, message = _git(checkout, "cat-file", "commit", "HEAD").partition("\n\n")
    signed = checkout / ".git/signed"
    signed.write_text(
        f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n\n{message}"
    )
    _git(checkout, "tag", "before")
    new = _git(checkout, "hash-object", "-t", "commit", "-w", str(signed)).strip()
    _git(checkout, "update-ref", "HEAD", new)
    _git(checkout, "tag", "after")


def _lose_last_tree(checkout: Path) -> None:
    """Remove the list of files of the last commit, as a partial clone lacks some."""
    tree = _git(checkout, "rev-parse", "HEAD^{tree}").strip()
    (checkout / ".git/objects" / tree[:2] / tree[2:]).unlink()
