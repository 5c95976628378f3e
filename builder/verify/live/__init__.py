# SPDX-License-Identifier: MIT
"""Facts of a running system, as specs ask for them."""
