# SPDX-License-Identifier: MIT
"""The body of an upload: what requests makes of it, and its progress."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import requests

from builder import log
from builder.release.upload_body import open_body


@pytest.mark.parametrize("content", [b"", b"x" * 100_000])
@pytest.mark.parametrize("is_file", [True, False])
def test_it_is_sent_with_its_length(tmp_path: Path, content: bytes, is_file: bool) -> None:
    """GitHub takes no upload in chunks."""
    path = tmp_path / "x.img"
    path.write_bytes(content)
    with open_body(path if is_file else content, "x.img") as body:
        headers = requests.Request("POST", "https://example.org", data=body).prepare().headers
        assert headers["Content-Length"] == str(len(content))
        assert "Transfer-Encoding" not in headers
        assert body.read() == content


def test_it_shows_how_far_it_is() -> None:
    stream = io.StringIO()
    with log.use(log.Json(stream)), open_body(b"x" * 1000, "x.img") as body:
        while body.read(100):
            pass
    assert stream.getvalue().count('"x.img"') == stream.getvalue().count('"progress"')
    assert '"fraction": 1.0' in stream.getvalue()
