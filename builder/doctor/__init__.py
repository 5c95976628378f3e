# SPDX-License-Identifier: MIT
"""What is wrong with this machine, and how to mend it."""
