# SPDX-License-Identifier: MIT
"""Only packages, the build and the recipe give access: by ssh, consoles, cloud-init, the kernel."""

from builder.verify.facts.image import ImageFacts


def test_nothing_of_elsewhere_says_who_gets_in(image: ImageFacts) -> None:
    image.rights.check_asked("access")
