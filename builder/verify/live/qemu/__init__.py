# SPDX-License-Identifier: MIT
"""An image started in QEMU, as its recipe says: on a copy of the image, which goes away."""
