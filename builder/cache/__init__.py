# SPDX-License-Identifier: MIT
"""Local and shared caches."""
