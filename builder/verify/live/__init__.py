# SPDX-License-Identifier: MIT
"""Facts of a running system, for the specs."""
