# SPDX-License-Identifier: MIT
"""Named choices of a user: the values of options, and of the fields that hold them."""

from __future__ import annotations

from enum import StrEnum


class Engine(StrEnum):
    """Environment in which a build runs."""

    AUTO = "auto"
    DOCKER = "docker"
    LOCAL = "local"


class Assembler(StrEnum):
    """Method to assemble an image. `auto` is `offline`, which writes the image once."""

    AUTO = "auto"
    LOOP = "loop"
    OFFLINE = "offline"


class EmulationChoice(StrEnum):
    """Method to run programs of a foreign architecture. `auto` takes the fastest one that works."""

    AUTO = "auto"
    REDIRECT = "redirect"
    QEMU = "qemu"


class RootfsUse(StrEnum):
    """Condition for reusing the rootfs of the last build."""

    CURRENT = "current"
    """Reuse it if nothing has changed, neither here nor in the package archives."""
    AS_ASKED = "asked"
    """Reuse it if nothing has changed here; the package archives are not checked."""
    NEVER = "never"


class CacheMode(StrEnum):
    """Access to the shared cache: read only, or read and write."""

    RO = "ro"
    RW = "rw"


class Level(StrEnum):
    """Level of verification of an image file; each level includes those before."""

    OFFLINE = "offline"
    CHROOT = "chroot"
