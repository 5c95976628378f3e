# SPDX-License-Identifier: MIT
"""Whether an image is what it should be."""
