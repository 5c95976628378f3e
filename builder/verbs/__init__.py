# SPDX-License-Identifier: MIT
"""The verbs of the command line, one module each; builder/cli.py imports a module when its verb is called."""
