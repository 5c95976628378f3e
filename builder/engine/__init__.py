# SPDX-License-Identifier: MIT
"""Where a build runs."""
