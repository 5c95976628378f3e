# SPDX-License-Identifier: MIT
"""Builds and boots in a container of a Docker Engine."""
