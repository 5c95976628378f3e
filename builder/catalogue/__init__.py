# SPDX-License-Identifier: MIT
"""The catalogue of releases: a download page, and lists for Raspberry Pi Imager."""
