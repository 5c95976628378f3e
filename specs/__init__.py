# SPDX-License-Identifier: MIT
"""Specs: tests of an image. The name of each is a sentence that can fail."""
