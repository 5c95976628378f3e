# SPDX-License-Identifier: MIT
"""Filesystems: a module or a folder for each, with its name in a recipe. All use model, table and target."""
