# SPDX-License-Identifier: MIT
"""The key of a published release, and a function that fetches from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.fetch.fetch import FetchedImage, FetchRequest, fetch
from builder.fetch.sources import open_source
from builder.signing.signature import PublicKey, load_public_key
from tests.support.keys import MinisignKey
from tests.support.published import Server


@pytest.fixture
def key(signer: MinisignKey) -> PublicKey:
    return load_public_key(signer.public_text)


@pytest.fixture
def get(server: Server, key: PublicKey, tmp_path: Path) -> Callable[..., FetchedImage]:
    def get(board: str = "rpi", **asked: Any) -> FetchedImage:
        return fetch(open_source(server.url), FetchRequest(board, **{"key": key, **asked}), tmp_path / "out")

    return get
