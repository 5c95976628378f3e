# SPDX-License-Identifier: MIT
"""Artefacts: the finished files of a build."""
