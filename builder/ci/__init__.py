# SPDX-License-Identifier: MIT
"""CI systems: write their files, and choose the boards that a change affects."""
