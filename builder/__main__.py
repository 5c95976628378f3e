# SPDX-License-Identifier: MIT
"""`python3 -m builder`: how the builder is called inside its container."""

from builder.cli import main

main()
