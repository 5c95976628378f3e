# SPDX-License-Identifier: MIT
"""Errors of requests and urllib3 as messages: the same for downloads and for GitHub."""

from __future__ import annotations

import pytest
import requests
import urllib3

from builder.errors import DownloadError
from builder.net.http import open_progress, render_status, request_errors
from builder.net.retry import TemporaryError

SECRET = "https://joe:hunter2@example.org/x?token=hunter2"


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (caused(requests.ConnectionError(SECRET), ConnectionRefusedError(111, "Connection refused")), "Connection ref"),
        (requests.ConnectionError(SECRET), "the connection broke"),
        (requests.ReadTimeout(SECRET), "the server is silent"),
        (requests.ConnectTimeout(SECRET), "the server is silent"),
        (requests.exceptions.ChunkedEncodingError(SECRET), "the connection broke"),
        (requests.exceptions.ContentDecodingError(SECRET), "the connection broke"),
        (urllib3.exceptions.ProtocolError(SECRET), "the connection broke"),
        (urllib3.exceptions.ReadTimeoutError(None, None, SECRET), "the server is silent"),  # type: ignore[arg-type]
    ],
)
def test_a_broken_connection_is_temporary(error: Exception, reason: str) -> None:
    with pytest.raises(TemporaryError, match=f"^{reason}") as caught, request_errors("example.org"):
        raise error
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (requests.exceptions.SSLError(SECRET), "example.org: its certificate was refused"),
        (requests.exceptions.InvalidSchema(SECRET), "example.org leads to something other than http and https"),
        (requests.TooManyRedirects(SECRET), "example.org cannot be asked: TooManyRedirects"),
        (requests.exceptions.InvalidURL(SECRET), "example.org cannot be asked: InvalidURL"),
    ],
)
def test_what_no_retry_helps_against_is_a_download_error(error: Exception, message: str) -> None:
    with pytest.raises(DownloadError, match=f"^{message}") as caught, request_errors("example.org", action="asked"):
        raise error
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "error", [DownloadError("x"), TemporaryError("x"), OSError(28, "No space left"), KeyError("x")]
)
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, request_errors("example.org"):
        raise error
    assert caught.value is error


def test_a_status_has_the_phrase_of_the_standard() -> None:
    assert (render_status(404), render_status(799)) == ("404 Not Found", "799")


def test_progress_has_the_name_of_the_file_and_no_credentials() -> None:
    with open_progress("https://joe:hunter2@example.org/a/x.img.zst?token=hunter2", 10) as progress:
        assert progress.desc == "x.img.zst"
