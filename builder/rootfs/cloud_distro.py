# SPDX-License-Identifier: MIT
"""Extend cloud-init's Debian: `passwd` in user-data also sets the password of users that the image already has.

Copied into the image (rootfs/configure.py) and run there by cloud-init. By itself cloud-init uses `passwd` for new
users only and warns about others. So the password from Raspberry Pi Imager for an image's first user would not be set.
"""

from __future__ import annotations

from typing import Any

from cloudinit import util
from cloudinit.distros import debian


class Distro(debian.Distro):  # type: ignore[misc]  # cloudinit is in images only
    """Debian, also by name: cloud-init's modules check whether they support a distribution."""

    def __init__(self, name: str, cfg: dict[str, Any], paths: Any) -> None:
        super().__init__("debian", cfg, paths)

    def create_user(self, name: str, **kwargs: Any) -> Any:
        """Create or change a user; for an existing user, use `passwd` as the hash of the password."""
        others = {"hashed_passwd", "plain_text_passwd"} & kwargs.keys()
        if "passwd" in kwargs and not others and util.is_user(name):
            kwargs["hashed_passwd"] = kwargs.pop("passwd")
        return super().create_user(name, **kwargs)
