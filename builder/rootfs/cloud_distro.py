# SPDX-License-Identifier: MIT
"""cloud-init's Debian, with a `passwd` in user-data that counts for users of the image too.

Laid into the image (rootfs/identity.py) and run there by cloud-init, which takes `passwd` of new users only and warns
about others, so that Raspberry Pi Imager's password for the first user of an image would not be set.
"""

from __future__ import annotations

from typing import Any

from cloudinit import util
from cloudinit.distros import debian


class Distro(debian.Distro):  # type: ignore[misc]  # cloudinit is in images only
    """Debian, by that name too: cloud-init's modules look whether they know it."""

    def __init__(self, name: str, cfg: dict[str, Any], paths: Any) -> None:
        super().__init__("debian", cfg, paths)

    def create_user(self, name: str, **kwargs: Any) -> Any:
        """Create or change a user; what is a hash of a new user's password is one of an existing user's."""
        others = {"hashed_passwd", "plain_text_passwd"} & kwargs.keys()
        if "passwd" in kwargs and not others and util.is_user(name):
            kwargs["hashed_passwd"] = kwargs.pop("passwd")
        return super().create_user(name, **kwargs)
