# SPDX-License-Identifier: MIT
"""Retry of temporary failures: how often, after which wait, how long in all, and what stands in the log.

A server that names a wait (Retry-After, the reset of a rate limit) gets it. The wait ends at once with ^C.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from tenacity import RetryCallState, Retrying, nap, retry_if_exception_type, wait_exponential

from builder import log
from builder.errors import BoardwrightError, DownloadError

Result = TypeVar("Result")


class TemporaryError(Exception):
    """A failure that may be gone at the next attempt.

    wait_s  what the server asks for, in seconds
    kind    class of the error where it stays
    """

    def __init__(self, reason: str, wait_s: float = 0.0, kind: type[BoardwrightError] = DownloadError) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.kind = kind


@dataclass(frozen=True)
class RetryPolicy:
    """Limits of attempts and waits, and the clock for them."""

    attempts: int
    hint: str
    """Hint for a permanent failure."""
    longest_s: float
    """The longest wait that a server may ask for."""
    total_s: float
    """All waits together."""
    shortens: bool = False
    """True if a longer wait is shortened to `longest_s`; otherwise it ends the attempts."""
    first_s: float = 1.0
    """Wait before the second attempt, if the server asks for none."""
    factor: float = 2.0
    """Factor by which each further wait is longer."""
    sleep: Callable[[float], None] = nap.sleep
    now: Callable[[], float] = time.time
    """Return seconds since 1970."""

    def find_wait(self, state: RetryCallState) -> float:
        """Return the wait before the next attempt: the server's, if that is longer than our own."""
        policy_s = wait_exponential(multiplier=self.first_s, exp_base=self.factor)(state)
        server_s = _failure(state).wait_s
        return max(policy_s, min(server_s, self.longest_s) if self.shortens else server_s)

    def is_over(self, state: RetryCallState) -> bool:
        """Return whether the last attempt was made, or the next wait is longer than the limits allow."""
        total_s = state.idle_for + state.upcoming_sleep
        return state.attempt_number >= self.attempts or state.upcoming_sleep > self.longest_s or total_s > self.total_s


def retry(policy: RetryPolicy, name: str, attempt: Callable[[], Result], *, hint: str = "") -> Result:
    """Return the result of `attempt`, which is called again after each TemporaryError.

    name  what is asked for, in messages
    hint  instead of the policy's

    Raises DownloadError, or the kind of the last TemporaryError, when the attempts or the time are used up. All other
    exceptions of `attempt` pass.
    """

    def note(state: RetryCallState) -> None:
        progress = f"attempt {state.attempt_number + 1} of {policy.attempts} in {state.upcoming_sleep:.0f} s"
        log.note(f"{name}: {_failure(state)}; {progress}")

    def give_up(state: RetryCallState) -> NoReturn:
        failure = _failure(state)
        limit = f"{state.attempt_number} times"
        if failure.wait_s > policy.longest_s and not policy.shortens:
            limit = time.strftime("until %H:%M UTC", time.gmtime(policy.now() + failure.wait_s))
        raise failure.kind(f"{name}: {failure}, {limit}", hint=hint or policy.hint) from failure

    retrying = Retrying(
        retry=retry_if_exception_type(TemporaryError),
        wait=policy.find_wait,
        stop=policy.is_over,
        before_sleep=note,
        sleep=policy.sleep,
        retry_error_callback=give_up,
    )
    return retrying(attempt)


def _failure(state: RetryCallState) -> TemporaryError:
    """Return the failure of the last attempt."""
    assert state.outcome
    failure = state.outcome.exception()
    assert isinstance(failure, TemporaryError)
    return failure
