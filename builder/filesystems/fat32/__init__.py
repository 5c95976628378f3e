# SPDX-License-Identifier: MIT
"""FAT32: read, made and checked."""
