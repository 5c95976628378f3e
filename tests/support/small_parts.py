# SPDX-License-Identifier: MIT
"""The command line, with parts as small as S3 allows: `small_parts.py ARGUMENT…`."""

from __future__ import annotations

from builder.release import multipart

multipart.PART_BYTES = 5 * 1024 * 1024

from builder import cli  # noqa: E402 - what it imports takes the size when it is imported
from builder.verbs import release  # noqa: E402
from tests.support.packaged import collect_files  # noqa: E402

setattr(release, "collect", collect_files)  # noqa: B010 - mypy: it is no part of the module

cli.main()
