# SPDX-License-Identifier: MIT
"""Layers sent to a bucket and taken from it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from builder import log
from builder.cache.remote import Remote, open_remote
from builder.cache.store import Store
from builder.choices import CacheMode
from builder.net.location import load_location
from builder.rootfs.shared_layers import Foreseen, send_layer, take_layer
from builder.rootfs.stored_tree import StoredTree
from builder.system.workspace import Workspace
from tests.support.bucket import Bucket
from tests.support.log import Heard


def opened(bucket: Bucket, mode: CacheMode = CacheMode.RW) -> AbstractContextManager[Remote]:
    place = load_location(bucket.location, mode)
    assert place
    return open_remote(place)


def send(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, mode: CacheMode = CacheMode.RW
) -> None:
    with opened(bucket, mode) as remote:
        send_layer(Store(tmp_path / "one/store", remote), layer, workspace)


PLAIN = Foreseen(origins={}, below=(), packages=frozenset(), own=frozenset())


def take(
    bucket: Bucket, layer: StoredTree, tmp_path: Path, workspace: Workspace, foreseen: Foreseen = PLAIN
) -> tuple[StoredTree | None, list[str]]:
    """Take the layer on another machine; return it and the notes of the log."""
    heard = Heard()
    with log.use(heard), opened(bucket, CacheMode.RO) as remote:
        directory = tmp_path / "two/layers" / layer.directory.name
        return take_layer(Store(tmp_path / "two/store", remote), directory, workspace, foreseen), heard.kept
