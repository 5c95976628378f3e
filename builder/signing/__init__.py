# SPDX-License-Identifier: MIT
"""Signatures: keys, minisign, GnuPG."""
