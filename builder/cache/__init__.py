# SPDX-License-Identifier: MIT
"""What is kept to save time."""
