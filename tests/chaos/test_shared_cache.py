# SPDX-License-Identifier: MIT
"""A whole build with a shared cache: it is asked, and whatever becomes of it the image is made."""

from __future__ import annotations

import pytest

from tests.support.bucket import Bucket
from tests.support.chaos import Place

pytestmark = pytest.mark.machine


def test_a_build_asks_it(place: Place, bucket: Bucket) -> None:
    running = place.build("--cache", bucket.location)
    assert running.code == 0, running.output
    assert bucket.door.count("GET", "prefix=ci") == 1
    assert not [event for event in running.events if event["kind"] == "warn"]


def test_a_build_goes_on_without_it(place: Place, bucket: Bucket) -> None:
    bucket.door.refuse(403, "AccessDenied")
    running = place.build("--cache", bucket.location, "--cache-mode", "ro")
    assert running.code == 0, running.output
    (warning,) = [event["text"] for event in running.events if event["kind"] == "warn"]
    assert "answers AccessDenied" in warning
    assert place.products() != []


def test_nothing_is_built_without_credentials_to_write_with(
    place: Place, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    running = place.build("--cache", bucket.location)
    assert running.code == 3, running.output
    assert place.products() == []
    assert place.traces() == []
