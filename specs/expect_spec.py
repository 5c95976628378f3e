# SPDX-License-Identifier: MIT
"""The image has what `expect` of the recipe allows: a line that allows nothing is wrong or outdated."""

from builder.recipe.expect import Expected
from builder.verify.facts.image import ImageFacts


def test_what_is_asked_for_is_there(image: ImageFacts, expected: Expected) -> None:
    assert image.rights.has(expected), f"{expected.name} is not there; remove the line of `expect` at {expected.at}"
