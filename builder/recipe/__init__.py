# SPDX-License-Identifier: MIT
"""Recipes: what a person asks for."""
