# SPDX-License-Identifier: MIT
"""Run builds in Docker or on this machine."""
