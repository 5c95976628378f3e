# SPDX-License-Identifier: MIT
"""Texts that several ways in have."""

from __future__ import annotations

KEY = "ssh-ed25519 AAAA mallory@example.org\n"
UNIT = "/etc/systemd/system"
AUTOLOGIN = "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear %I $TERM\n"
SHELL = "[Service]\nExecStart=/bin/bash\nStandardInput=tty\nTTYPath=/dev/tty3\n"
PASSWORD = "#cloud-config\nchpasswd: {users: [{name: pirate, password: hypriot, type: text}]}\n"
