# SPDX-License-Identifier: MIT
"""Entry point of `python3 -m builder`, which runs inside the builder's container."""

from builder.cli import main

main()
