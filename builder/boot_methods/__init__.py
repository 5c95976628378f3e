# SPDX-License-Identifier: MIT
"""Boot methods: one module for each, with the name of the method in a recipe.

All use model, table and lines; those for U-Boot also uboot.
"""
