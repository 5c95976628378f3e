# SPDX-License-Identifier: MIT
"""A shared cache used from containers, with the boto3 of the builder image; what others can see of its credentials."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from docker import APIClient

from builder import log
from builder.choices import CacheMode
from builder.engine.docker.cache_access import find_access
from builder.engine.docker.container import STATE
from builder.errors import Interrupted
from builder.net.location import load_location
from builder.system.proxy import HERE
from tests.support.bucket import BUCKET, KEY, SECRET, TOKEN, Bucket, serve_bucket
from tests.support.log import Heard
from tests.support.stub_builds import StubBuild

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("aws_user")]
RequestOf = Callable[[str], StubBuild]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """A server that listens on all addresses of this machine, so also where containers find it."""
    with serve_bucket("0.0.0.0") as served:
        yield served


@pytest.fixture
def share(request_of: RequestOf, bucket: Bucket) -> Callable[..., StubBuild]:
    """Make a build of a machine with a shared cache."""

    def make(board: str, act: str = "shared") -> StubBuild:
        port = bucket.door.server_address[1]
        location = load_location(f"s3://{BUCKET}/ci?endpoint=http://{HERE}:{port}", CacheMode.RW)
        return replace(request_of(act).but(board=board), access=find_access(location))

    return make


def test_what_one_container_made_another_has(
    share: Callable[..., StubBuild], bucket: Bucket, api: APIClient, heard: Heard
) -> None:
    assert share("one").run().data == {"taken": "", "mode": "0o600"}
    other = replace(share("two"), volume=f"boardwright-test-other-{os.getpid()}")
    try:
        assert other.run().data == {"taken": "made by one\n", "mode": "0o600"}
    finally:
        api.remove_volume(other.volume, force=True)
    assert heard.texts("warn") == []
    assert any(key.startswith("ci/objects/") for key in bucket.list_keys())
    assert bucket.door.count("PUT", "partNumber=2") == 2, "a large object goes in parts"


def test_credentials_are_not_to_be_seen(
    share: Callable[..., StubBuild],
    api: APIClient,
    heard: Heard,
    containers: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", f"http://pirate:{SECRET}@proxy.example.org:3128")
    seen: list[str] = []

    def look(event: log.Event) -> None:
        if event.text == "shared":
            name = containers()[0].lstrip("/")
            seen.append(json.dumps(api.inspect_container(name)))
            seen.append(" ".join(change["Path"] for change in api.diff(name)))
            os.kill(os.getpid(), signal.SIGINT)

    heard.on_event = look
    with pytest.raises(Interrupted):
        share("one", "shared_wait").run()
    seen.append(json.dumps([event.data | {"text": event.text} for event in heard.events]))
    inspected, changed, _ = seen
    assert "AWS_SHARED_CREDENTIALS_FILE" in inspected
    assert {"/build/inputs/credentials", "/build/inputs/proxies"} <= set(changed.split())
    assert STATE in inspected
    for text in seen:
        assert not [word for word in (KEY, SECRET, TOKEN) if word in text]
