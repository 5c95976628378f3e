# SPDX-License-Identifier: MIT
"""Facts of an image file, as specs ask for them."""
