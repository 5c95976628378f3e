# SPDX-License-Identifier: MIT
"""Find the driver of a filesystem. A new one is a module here, and a row in builder/filesystem.py."""

from __future__ import annotations

from builder.disk.region import Region
from builder.errors import VerifyError
from builder.filesystem import Filesystem
from builder.filesystems.model import FilesystemDriver, FilesystemFacts
from builder.system.extensions import load_named

DRIVERS = load_named(__package__, Filesystem, "DRIVER", FilesystemDriver)


def detect_filesystem(region: Region) -> Filesystem | None:
    """Return which filesystem a region begins with; None for any other data.

    Raises VerifyError for signs of several: programs would not agree on what is there.
    """
    names = [name for name, driver in DRIVERS.items() if driver.detect(region)]
    if len(names) > 1:
        raise VerifyError(
            f"the partition at byte {region.offset_bytes} has signs of {' and '.join(names)}; expected one filesystem",
            hint="build the image again",
        )
    return names[0] if names else None


def read_facts(region: Region) -> FilesystemFacts:
    """Return the facts of the filesystem in a region."""
    name = detect_filesystem(region)
    return DRIVERS[name].read_facts(region) if name else FilesystemFacts("unknown", "", "", 0, 0)
