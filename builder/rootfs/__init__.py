# SPDX-License-Identifier: MIT
"""The rootfs stage: build the file tree of a system."""
