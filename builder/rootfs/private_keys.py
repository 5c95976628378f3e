# SPDX-License-Identifier: MIT
"""Remove private keys that packages create when they are installed: all boards of an image would share them.

A unit creates the key at the boot of a board that has none, before the services that use it. Host keys of ssh need no
row here: cloud-init creates them. A new kind of key is a row in OWN_KEYS.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.system.paths import resolve_inside, write_text


@dataclass(frozen=True)
class OwnKey:
    """A private key that every machine must create itself."""

    name: str
    files: tuple[str, ...]
    """The private key, and files created with it. Links to them in the same directory are removed too."""
    argv: tuple[str, ...]
    """Command of the package that creates all of them."""


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
    """Remove the keys from a tree."""
    for key in OWN_KEYS:
        for file in key.files:
            path = resolve_inside(rootfs, file)
            path.unlink(missing_ok=True)
            for other in path.parent.iterdir() if path.parent.is_dir() else ():
                if other.is_symlink() and str(other.readlink()) in (path.name, file):
                    other.unlink()


def write_key_units(rootfs: Path) -> list[str]:
    """Write units that create the keys at boot, for packages in the tree; return the paths of the units."""
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
