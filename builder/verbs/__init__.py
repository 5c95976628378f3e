# SPDX-License-Identifier: MIT
"""The verbs of the command line: a module each, imported by builder/cli.py when its verb is called."""
