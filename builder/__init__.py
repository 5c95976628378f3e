# SPDX-License-Identifier: MIT
"""Boardwright: recipes in, proven operating-system images out."""

__version__ = "0.1.0"
