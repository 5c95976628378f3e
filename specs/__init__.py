# SPDX-License-Identifier: MIT
"""Specs: what an image is, in sentences that can fail."""
