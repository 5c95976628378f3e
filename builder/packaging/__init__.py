# SPDX-License-Identifier: MIT
"""The packaging stage: make and check the directory with all published files of an image."""
