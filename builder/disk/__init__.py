# SPDX-License-Identifier: MIT
"""Reading an image: partitions, filesystems, files."""
