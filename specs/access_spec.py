# SPDX-License-Identifier: MIT
"""Nothing lets somebody in but what packages, the build and the recipe bring: ssh, consoles, cloud-init, the kernel."""

from builder.verify.facts.image import Subject


def test_nothing_of_elsewhere_says_who_gets_in(image: Subject) -> None:
    image.rights.check_asked("access")
