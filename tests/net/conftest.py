# SPDX-License-Identifier: MIT
"""A server to download from, and retries that do not wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from builder.net import http
from tests.support.download_server import Server
from tests.support.http_server import running


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with running(server):
        yield server
        server.release.set()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "RETRIES", replace(http.RETRIES, first_s=0.01))
    monkeypatch.setattr(http, "TIMEOUT_S", (5.0, 5.0))
