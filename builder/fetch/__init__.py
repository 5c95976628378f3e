# SPDX-License-Identifier: MIT
"""Fetching a released image."""
