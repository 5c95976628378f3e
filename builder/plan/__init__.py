# SPDX-License-Identifier: MIT
"""Plans: recipes with every decision taken."""
