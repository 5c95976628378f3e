# SPDX-License-Identifier: MIT
"""Find problems of this machine and explain how to fix them."""
