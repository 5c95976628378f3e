# SPDX-License-Identifier: MIT
"""How a call of the command line ends when it is interrupted."""

from __future__ import annotations

import signal
import threading

import pytest

from builder.errors import Interrupted
from builder.verbs.session import cli_session


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_in_order(number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match="all resources were released"), cli_session(json=False):
        signal.raise_signal(number)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Dying:
    """Interrupts the process in its destructor, where Python ignores what is raised."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_python_ignores_comes_once_more(number: signal.Signals) -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Interrupted, match="all resources"), cli_session(json=False):  # noqa: PT012
        Dying(number)
        threading.Event().wait(20)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_could_not_be_given_back_is_said() -> None:
    interrupt = KeyboardInterrupt()
    interrupt.add_note("loop /x could not be given back: busy")
    with pytest.raises(Interrupted, match="some resources could not be released") as raised, cli_session(json=False):
        raise interrupt
    assert raised.value.__notes__ == ["loop /x could not be given back: busy"]
    assert raised.value.hint == "boardwright doctor --fix"
