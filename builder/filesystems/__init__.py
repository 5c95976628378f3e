# SPDX-License-Identifier: MIT
"""Filesystems: a module or a folder for each, with the name of the filesystem in a recipe."""
