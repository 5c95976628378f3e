# SPDX-License-Identifier: MIT
"""Parts of messages about recipes."""

from __future__ import annotations

import pytest

from builder.recipe.phrases import join_options


@pytest.mark.parametrize(
    ("options", "text"),
    [([], "no value"), (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")],
)
def test_options_are_joined(options: list[str], text: str) -> None:
    assert join_options(options) == text
