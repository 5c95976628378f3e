# SPDX-License-Identifier: MIT
"""What a user may choose by name: the values of options, and of the fields that carry them."""

from __future__ import annotations

from enum import StrEnum


class Engine(StrEnum):
    """Where a build runs."""

    AUTO = "auto"
    DOCKER = "docker"
    LOCAL = "local"


class Assembler(StrEnum):
    """How an image is assembled. `auto` is `offline`, which writes the image once."""

    AUTO = "auto"
    LOOP = "loop"
    OFFLINE = "offline"


class EmulationChoice(StrEnum):
    """How programs of a foreign architecture run. `auto` takes the fastest way that works."""

    AUTO = "auto"
    REDIRECT = "redirect"
    QEMU = "qemu"


class RootfsUse(StrEnum):
    """When the rootfs of the last build is reused."""

    CURRENT = "current"
    """When nothing has changed, here and in the package archives."""
    AS_ASKED = "asked"
    """When nothing has changed here; the archives are not asked."""
    NEVER = "never"


class CacheMode(StrEnum):
    """What may be done with the shared cache."""

    RO = "ro"
    RW = "rw"


class Level(StrEnum):
    """How far an image file is verified; each level includes those before."""

    OFFLINE = "offline"
    CHROOT = "chroot"


class CiProvider(StrEnum):
    """A CI system."""

    GITHUB = "github"
    GITLAB = "gitlab"
    TRAVIS = "travis"
