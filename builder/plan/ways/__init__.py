# SPDX-License-Identifier: MIT
"""Files that decide who gets in, by what they say: of cloud-init, systemd, and what runs commands of its configuration.

What is known to give nobody access is allowed; everything else is a way in.
"""
