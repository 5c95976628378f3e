# SPDX-License-Identifier: MIT
"""Boardwright: build tested operating-system images from recipes."""

__version__ = "0.1.0"
