# SPDX-License-Identifier: MIT
"""Start a copy of an image in QEMU, as its recipe says. The copy is deleted afterwards."""
