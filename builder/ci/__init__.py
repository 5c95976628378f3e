# SPDX-License-Identifier: MIT
"""CI systems: the files that tell them what to do, and which boards a change is about."""
