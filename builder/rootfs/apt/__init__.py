# SPDX-License-Identifier: MIT
"""Package archives: APT sources, keys, pins, and the packages that a plan installs."""
