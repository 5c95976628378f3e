# SPDX-License-Identifier: MIT
"""Retries: how many attempts, which waits, what is logged, and what is raised in the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from builder.errors import DownloadError, TrustError
from builder.net import http
from builder.net.retry import RetryPolicy, TemporaryError, retry
from builder.release import github_api
from builder.system.signals import handled

BEGIN = datetime(2026, 11, 28, 12, 0, tzinfo=UTC).timestamp()


@dataclass
class Server:
    """Fails as often as it has failures, then answers. Its waits take no time."""

    failures: list[Exception]
    waits: list[float] = field(default_factory=list)
    calls: int = 0

    def answer(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "content"

    def ask(self, policy: RetryPolicy, *, hint: str = "") -> str:
        timed = replace(policy, sleep=self.waits.append, now=lambda: BEGIN + sum(self.waits))
        return retry(timed, "example.org/x", self.answer, hint=hint)


def busy(*waits_s: float) -> Server:
    return Server([TemporaryError("it is busy", wait_s) for wait_s in waits_s])


STRICT = RetryPolicy(attempts=4, longest_s=100.0, total_s=150.0, hint="later")
SHORTENING = replace(STRICT, longest_s=60.0, shortens=True)


@pytest.mark.parametrize(
    ("policy", "asked", "waits"),
    [
        (STRICT, [], []),
        (STRICT, [0, 0, 0], [1, 2, 4]),
        (replace(STRICT, first_s=0.5, factor=3), [0, 0, 0], [0.5, 1.5, 4.5]),
        (STRICT, [7, 0, 3], [7, 2, 4]),
        (STRICT, [100, 50], [100, 50]),
        (SHORTENING, [90, 0], [60, 2]),
        (http.RETRIES, [1e9, 0, 0], [60, 3, 9]),
        (github_api.RETRIES, [1200, 0, 0, 0, 0], [1200, 2, 4, 8, 16]),
    ],
)
def test_a_temporary_failure_is_retried(policy: RetryPolicy, asked: list[float], waits: list[float]) -> None:
    server = busy(*asked)
    assert server.ask(policy) == "content"
    assert (server.waits, server.calls) == (waits, len(waits) + 1)


@pytest.mark.parametrize(
    ("policy", "asked", "waits", "limit"),
    [
        (STRICT, [0] * 9, [1, 2, 4], "4 times"),
        (replace(STRICT, attempts=1), [0] * 9, [], "1 times"),
        (STRICT, [0, 101], [1], "until 12:01 UTC"),
        (STRICT, [1e9], [], "until 13:46 UTC"),
        (STRICT, [90, 61], [90], "2 times"),
        (SHORTENING, [90, 90, 90], [60, 60], "3 times"),
        (http.RETRIES, [1e9] * 9, [60, 60, 60], "4 times"),
        (github_api.RETRIES, [0] * 9, [1, 2, 4, 8, 16], "6 times"),
        (github_api.RETRIES, [1201], [], "until 12:20 UTC"),
        (github_api.RETRIES, [1200] * 9, [1200] * 3, "4 times"),
    ],
)
def test_each_limit_ends_the_attempts(policy: RetryPolicy, asked: list[float], waits: list[float], limit: str) -> None:
    server = busy(*asked)
    with pytest.raises(DownloadError) as caught:
        server.ask(policy)
    assert caught.value.message == f"example.org/x: it is busy, {limit}"
    assert caught.value.hint == policy.hint
    assert (server.waits, server.calls) == (waits, len(waits) + 1)


def test_the_error_has_the_kind_of_the_last_failure_and_the_hint_of_the_call() -> None:
    server = Server([TemporaryError("busy"), TemporaryError("it is not there as it was sent", kind=TrustError)])
    with pytest.raises(TrustError, match="it is not there as it was sent, 2 times") as caught:
        server.ask(replace(STRICT, attempts=2), hint="look at the disk")
    assert caught.value.hint == "look at the disk"


@pytest.mark.parametrize("error", [DownloadError("404"), KeyError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_other_errors_pass_at_once(error: Exception) -> None:
    server = Server([error])
    with pytest.raises(type(error)) as caught:
        server.ask(STRICT)
    assert (caught.value, server.calls, server.waits) == (error, 1, [])


def test_each_wait_is_logged_with_its_number_and_length(capsys: pytest.CaptureFixture[str]) -> None:
    busy(7, 0).ask(STRICT)
    assert capsys.readouterr().err.splitlines() == [
        "example.org/x: it is busy; attempt 2 of 4 in 7 s",
        "example.org/x: it is busy; attempt 3 of 4 in 2 s",
    ]


@pytest.fixture
def _interrupted() -> Iterator[None]:
    """Send ^C to this process in a moment."""
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    with handled(signal.default_int_handler, [signal.SIGINT]):
        timer.start()
        yield
        timer.cancel()


@pytest.mark.usefixtures("_interrupted")
def test_an_interrupt_ends_the_wait() -> None:
    server = busy(50)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        retry(STRICT, "example.org/x", server.answer)
    assert time.monotonic() - begun < 10
    assert server.calls == 1
