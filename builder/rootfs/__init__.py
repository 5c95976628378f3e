# SPDX-License-Identifier: MIT
"""The rootfs: a tree of the system."""
