# SPDX-License-Identifier: MIT
"""HTTP downloads and S3 buckets."""
