# SPDX-License-Identifier: MIT
"""The catalogue of releases: download page, lists for Raspberry Pi Imager."""
