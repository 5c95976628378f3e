# SPDX-License-Identifier: MIT
"""Ways to let a stranger into an image: a file of this content, or a link ("-> TARGET"), at this path."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.ways_in.cloud_init import CLOUD_INIT
from tests.support.ways_in.commands import COMMANDS
from tests.support.ways_in.logins import LOGINS
from tests.support.ways_in.programs import PROGRAMS
from tests.support.ways_in.units import UNITS

WAYS: Mapping[str, tuple[str, str]] = {**LOGINS, **CLOUD_INIT, **UNITS, **PROGRAMS, **COMMANDS}
