# SPDX-License-Identifier: MIT
"""ext4: read, made and checked."""
