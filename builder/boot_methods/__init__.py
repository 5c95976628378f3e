# SPDX-License-Identifier: MIT
"""Boot methods: one module for each, with the name of the method in a recipe."""
