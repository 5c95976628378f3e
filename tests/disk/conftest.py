# SPDX-License-Identifier: MIT
"""Sources of small filesystems."""

from tests.support.filesystems import source

__all__ = ["source"]
