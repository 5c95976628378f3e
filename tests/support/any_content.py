# SPDX-License-Identifier: MIT
"""The command line, for packaged images whose content may be any bytes: `any_content.py ARGUMENT…`."""

from __future__ import annotations

from builder import cli
from builder.verbs import release
from tests.support.packaged import collect_files

setattr(release, "collect", collect_files)  # noqa: B010 - mypy: it is no part of the module
cli.main()
