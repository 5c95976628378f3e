# SPDX-License-Identifier: MIT
"""Package archives: where packages come from, and which of them a plan takes."""
