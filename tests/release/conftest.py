# SPDX-License-Identifier: MIT
"""Targets of releases: GitHub, a bucket, a directory; each empty, with packages to release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import bucket
from tests.support.bucket import Bucket
from tests.support.bucket_target import BucketTarget, unfinished
from tests.support.directory_target import DirectoryTarget
from tests.support.github.double import Front, serve_github
from tests.support.github.state import COMMIT, TOKEN
from tests.support.github.target import GitHubTarget


@pytest.fixture(scope="package")
def github_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with serve_github(tmp_path_factory.mktemp("prism") / "log") as front:
        yield front


@pytest.fixture
def front(github_server: Front, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Front]:
    """GitHub, empty but for its tags; at the end, no request violated its description, and no output has the token."""
    state = github_server.state
    state.base = f"http://127.0.0.1:{github_server.place[1]}"
    state.releases.clear()
    state.assets.clear()
    state.tags = dict.fromkeys(("v0.9", "v1.0-rc1", "v1.0", "v1.1", "v2.0"), COMMIT)
    state.latest, state.page, state.digests = "", 100, True
    monkeypatch.setenv("GITHUB_API_URL", state.base)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    for name in ("GH_TOKEN", "GITHUB_SERVER_URL", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield github_server
    violations = list(github_server.violations)
    github_server.reset()
    assert violations == []
    assert TOKEN not in "".join(capsys.readouterr())


@pytest.fixture
def github_target(front: Front, tmp_path: Path) -> GitHubTarget:
    return GitHubTarget(front, tmp_path)


@pytest.fixture
def s3_server(
    bucket_server: Bucket, aws_user: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Bucket]:
    """An empty bucket; at the end, no output has the credentials."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    yield bucket_server
    for each in unfinished(bucket_server):
        bucket_server.client.abort_multipart_upload(Bucket=bucket.BUCKET, Key=each["Key"], UploadId=each["UploadId"])
    bucket_server.reset()
    output = "".join(capsys.readouterr())
    assert not [secret for secret in (bucket.KEY, bucket.SECRET, bucket.TOKEN) if secret in output]


@pytest.fixture
def bucket_target(s3_server: Bucket, tmp_path: Path) -> BucketTarget:
    return BucketTarget(s3_server, tmp_path)


@pytest.fixture
def directory_target(tmp_path: Path) -> DirectoryTarget:
    return DirectoryTarget(tmp_path)
