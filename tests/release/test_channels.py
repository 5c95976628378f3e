# SPDX-License-Identifier: MIT
"""Which channels a release goes into, and that a channel forgets nothing and does not go back by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from builder.errors import RecipeError
from builder.packaging.model import Channel, Release
from builder.packaging.tag import load_tag
from builder.release.channels import choose_channels, merge


def release(tag: str) -> Release:
    load = load_tag(tag)
    return Release(
        tag=tag,
        version=load.version,
        prerelease=load.prerelease,
        date=datetime(2026, 1, 1, tzinfo=UTC),
        notes="",
        boards={},
    )


def follow(*tags: str, back: bool = False) -> Channel:
    channel = None
    for tag in tags:
        channel = merge("stable", channel, release(tag), back=back)
    assert channel
    return channel


@pytest.mark.parametrize(
    ("tag", "asked", "channels"),
    [
        ("v1.0", (), ("stable", "latest")),
        ("v1.0-rc1", (), ("latest",)),
        ("v1.0", ("beta", "beta"), ("beta",)),
        ("v1.0-rc1", ("beta", "latest"), ("beta", "latest")),
    ],
)
def test_the_channels_fit_the_tag_unless_they_are_named(
    tag: str, asked: tuple[str, ...], channels: tuple[str, ...]
) -> None:
    assert choose_channels(load_tag(tag), asked, back=False).channels == channels


def test_a_pre_release_is_not_stable() -> None:
    with pytest.raises(RecipeError, match="found stable for the pre-release"):
        choose_channels(load_tag("v1.0-rc1"), ["stable"], back=False)


@pytest.mark.parametrize("name", ["../x", "Stable", "", "a/b", "a b", "beta\n"])
def test_what_is_no_name_is_no_channel(name: str) -> None:
    with pytest.raises(RecipeError, match="expected lower-case letters"):
        choose_channels(load_tag("v1.0"), [name], back=False)


def test_a_channel_names_the_newest_and_remembers_all() -> None:
    channel = follow("v1.9", "v1.10-rc1", "v1.10")
    assert channel.release.tag == "v1.10"
    assert [entry.tag for entry in channel.history] == ["v1.10", "v1.10-rc1", "v1.9"]


def test_a_repair_of_an_old_version_does_not_pull_people_back() -> None:
    channel = follow("v2.0", "v1.0.1")
    assert channel.release.tag == "v2.0"
    assert [entry.tag for entry in channel.history] == ["v1.0.1", "v2.0"]


def test_a_channel_goes_back_when_it_is_told_to() -> None:
    assert follow("v2.0", "v1.0.1", back=True).release.tag == "v1.0.1"


def test_the_same_again_changes_nothing() -> None:
    channel = follow("v1.0", "v1.1")
    assert merge("stable", channel, release("v1.0"), back=False) == channel
