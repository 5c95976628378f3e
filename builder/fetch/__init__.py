# SPDX-License-Identifier: MIT
"""The fetch stage: download released images and verify them."""
