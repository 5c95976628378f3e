# SPDX-License-Identifier: MIT
"""The release: finished files that are handed out."""
