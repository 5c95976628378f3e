# SPDX-License-Identifier: MIT
"""Private keys that packages make when they are installed: one in an image would be that of every board.

They are taken out, and made at the boot of a board that has none, before the services that use them. Host keys of ssh
need no row here: cloud-init makes them. A new kind of key is a row in OWN_KEYS.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.system.paths import resolve_inside, write_text


@dataclass(frozen=True)
class OwnKey:
    """A key of a machine's own."""

    name: str
    files: tuple[str, ...]
    """The private key, and what is made with it. Links to them in their directories go too."""
    argv: tuple[str, ...]
    """The package's command that makes all of them."""


OWN_KEYS = (
    OwnKey(
        "ssl-cert",
        ("/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem"),
        ("/usr/sbin/make-ssl-cert", "generate-default-snakeoil"),
    ),
)

UNIT = """\
# Written by Boardwright.
[Unit]
Description=Key of this machine's own for {name}
DefaultDependencies=no
ConditionPathExists=!{key}
RequiresMountsFor={directories}
After=systemd-tmpfiles-setup.service systemd-random-seed.service
Before=sysinit.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={command}

[Install]
WantedBy=sysinit.target
"""


def remove_own_keys(rootfs: Path) -> None:
    """Take the keys out of a tree."""
    for key in OWN_KEYS:
        for place in key.files:
            path = resolve_inside(rootfs, place)
            path.unlink(missing_ok=True)
            for other in path.parent.iterdir() if path.parent.is_dir() else ():
                if other.is_symlink() and str(other.readlink()) in (path.name, place):
                    other.unlink()


def write_key_units(rootfs: Path) -> list[str]:
    """Let the board make the keys of the packages that the tree has; return the paths of the units."""
    units = []
    for key in OWN_KEYS:
        if not resolve_inside(rootfs, key.argv[0]).is_file():
            continue
        unit = f"boardwright-{key.name}.service"
        directories = " ".join(sorted({str(Path(file).parent) for file in key.files}))
        text = UNIT.format(name=key.name, key=key.files[0], directories=directories, command=" ".join(key.argv))
        units.append(f"/etc/systemd/system/{unit}")
        write_text(rootfs, f"/etc/systemd/system/{unit}", text)
        wanted = resolve_inside(rootfs, "/etc/systemd/system/sysinit.target.wants")
        wanted.mkdir(parents=True, exist_ok=True)
        (wanted / unit).unlink(missing_ok=True)
        (wanted / unit).symlink_to(f"../{unit}")
    return units
