# SPDX-License-Identifier: MIT
"""This machine: processes, signals, files, locks, resources."""
