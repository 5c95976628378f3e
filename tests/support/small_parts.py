# SPDX-License-Identifier: MIT
"""The command line, with parts as small as S3 allows: `small_parts.py ARGUMENT…`."""

from __future__ import annotations

from builder.release import multipart

multipart.PART_BYTES = 5 * 1024 * 1024

from builder import cli  # noqa: E402 - what it imports takes the size when it is imported

cli.main()
