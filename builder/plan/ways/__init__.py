# SPDX-License-Identifier: MIT
"""Check whether the content of a file may grant access: configuration of cloud-init, systemd and other programs.

Only content that is known to be harmless is allowed; everything else counts as granting access.
"""
