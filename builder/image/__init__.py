# SPDX-License-Identifier: MIT
"""The image: one disk file made from trees."""
