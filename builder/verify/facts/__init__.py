# SPDX-License-Identifier: MIT
"""Facts of an image file, for the specs."""
