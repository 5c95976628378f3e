# SPDX-License-Identifier: MIT
"""Check images and running systems against their plan."""
