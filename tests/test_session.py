# SPDX-License-Identifier: MIT
"""How a call of the command line ends when it is interrupted."""

from __future__ import annotations

import signal

import pytest

from builder.errors import Interrupted
from builder.session import telling


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_in_order(number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match="everything that was held is given back"), telling(json=False):
        signal.raise_signal(number)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_could_not_be_given_back_is_said() -> None:
    interrupt = KeyboardInterrupt()
    interrupt.add_note("loop /x could not be given back: busy")
    with pytest.raises(Interrupted, match="not everything") as raised, telling(json=False):
        raise interrupt
    assert raised.value.__notes__ == ["loop /x could not be given back: busy"]
    assert raised.value.hint == "boardwright doctor --fix"
