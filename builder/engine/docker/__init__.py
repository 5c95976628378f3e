# SPDX-License-Identifier: MIT
"""Build and boot in a container of a Docker Engine."""
