# SPDX-License-Identifier: MIT
"""Packaging: a directory with all that goes out with an image, and its checks."""
