# SPDX-License-Identifier: MIT
"""The release: check packaged images and publish them at one or more targets."""
