# SPDX-License-Identifier: MIT
"""The image stage: build one disk file from the trees of a rootfs."""
