# SPDX-License-Identifier: MIT
"""Verbs of the command line that are not building: a module for each part of what follows a build."""
