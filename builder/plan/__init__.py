# SPDX-License-Identifier: MIT
"""Plans: recipes with all decisions made."""
