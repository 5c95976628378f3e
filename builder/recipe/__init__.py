# SPDX-License-Identifier: MIT
"""Recipes: board.yaml, read and checked."""
