# SPDX-License-Identifier: MIT
"""Web servers and buckets."""
