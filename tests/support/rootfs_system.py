# SPDX-License-Identifier: MIT
"""One small real system: Debian's packages, and those of archives that the test makes itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from builder.cache.remote import Remote
from builder.cache.store import Store
from builder.choices import EmulationChoice, RootfsUse
from builder.plan.model import Plan
from builder.rootfs.make import make_rootfs, resolve_rootfs
from builder.rootfs.model import Rootfs
from builder.rootfs.stored_tree import StoredTree
from builder.system.workspace import Workspace
from tests.support.archive import Archive, build_deb
from tests.support.rootfs_boards import write_tiny

DEBIAN = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
EXTLINUX = """\
#!/bin/sh
set -eu
mkdir -p /boot/extlinux
. /etc/default/u-boot
echo "append root=$U_BOOT_ROOT $U_BOOT_PARAMETERS" > /boot/extlinux/extlinux.conf
echo "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" >> /boot/extlinux/extlinux.conf
"""
SURROUNDINGS = 'uname -n; cat /etc/hostname; umask; echo "$HOME $TERM ${TMPDIR-none}"'
"""What a program of the tree sees of the machine that builds."""
KERNEL = f"""\
#!/bin/sh
dpkg-query --show --showformat='${{db:Status-Status}} ${{Package}}\\n' > /usr/share/kernel-saw
({SURROUNDINGS}) > /usr/share/kernel-surroundings
"""
"""What a kernel's initrd could be made of: the packages, and whether each is configured."""
CUSTOMISE = f"""\
id -un > /etc/made-by
touch /etc/made-$SOURCE_DATE_EPOCH
({SURROUNDINGS}) > /etc/made-in
cat /etc/resolv.conf > /etc/made-with-resolver
"""
UNIT = "[Unit]\nDescription=test\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
DOCKER = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin")
SYSTEM = """\
packages:
  system: [systemd-sysv, tzdata, vendor-boot, pinned-tool]
archives:
  vendor:
    url: {vendor.url}
    suites: [trixie]
    key: {{file: keys/vendor.asc}}
  pinned:
    url: {pinned.url}
    suites: [trixie]
    key: {{url: "{pinned.url}/key.asc", fingerprint: "{pinned.signer.fingerprint}"}}
    pin: 700
kernel:
  packages: [vendor-kernel]
  debs:
    - file: debs/package.deb
    - {{url: "{vendor.url}/{extra}", sha256: {digest}}}
docker:
  source: docker
  version: "5:1.0"
  url: {docker.url}
  key: {{file: keys/vendor.asc}}
timezone: Europe/Berlin
users:
  pirate: {{groups: [sudo, sailors], sudo: nopasswd, gecos: Pirate}}
units: {{first.service: enabled, second.service: masked, third.service: disabled}}
"""


@dataclass(frozen=True)
class MadeRootfs:
    """The one real build, and what it was made from."""

    plan: Plan
    rootfs: Rootfs
    """A copy of its trees."""
    kept: StoredTree
    state: Path
    boards: Path
    vendor: Archive
    started: float
    """When it was made, in seconds since 1970."""

    @property
    def root(self) -> Path:
        return self.rootfs.trees["/"]

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()


def write_system(boards: Path, vendor: Archive, docker: Archive, pinned: Archive) -> None:
    """Write the board, its files and its packages, and fill the archives."""
    _fill_archives(vendor, docker, pinned)
    board = boards / "board"
    vendor.signer.write_public(board / "keys/vendor.asc")
    kernel = build_deb(board / "debs", "linux-tiny", "6.99", files={"/boot/vmlinuz-6.99": "kernel\n"})
    kernel.rename(board / "debs/package.deb")
    extra = build_deb(vendor.directory, "extra", "1.0", files={"/usr/share/extra": "extra\n"})
    digest = hashlib.sha256(extra.read_bytes()).hexdigest()
    extra.rename(vendor.directory / "package.deb")  # a file name that two packages have
    text = SYSTEM.format(vendor=vendor, pinned=pinned, docker=docker, extra="package.deb", digest=digest)
    write_tiny(boards, url=DEBIAN, key=KEYRING, extra=text)
    (board / "files/etc/sudoers.d").mkdir(parents=True)
    (board / "files/etc/sudoers.d/own").write_text("# own\n")
    (board / "files/etc/deep/deeper").mkdir(parents=True)
    (board / "files/etc/deep/deeper/file").touch()
    (board / "customise.sh").write_text(CUSTOMISE)


def _fill_archives(vendor: Archive, docker: Archive, pinned: Archive) -> None:
    units = {f"/usr/lib/systemd/system/{name}.service": UNIT for name in ("first", "second", "third")}
    vendor.add("linux-tiny", "6.99")  # for the children of the board, which name it; the board itself brings a file
    vendor.add("vendor-kernel", scripts={"postinst": KERNEL})
    vendor.add("vendor-boot", files={"/usr/sbin/u-boot-update": EXTLINUX, **units})
    pinned.add("pinned-tool", files={"/usr/share/pinned": "pinned\n"})
    for name in DOCKER:
        docker.add(name, "5:1.0" if name.startswith("docker-ce") else "1.0")
    docker.add("docker-ce", "5:2.0")
    docker.add("docker-ce-cli", "5:2.0")
    vendor.publish()
    pinned.publish()
    docker.publish(component="stable")
    pinned.signer.write_public(pinned.directory / "key.asc")


def take_rootfs(
    plan: Plan,
    workspace: Workspace,
    *,
    cache: Path,
    use: RootfsUse = RootfsUse.CURRENT,
    emulation: EmulationChoice = EmulationChoice.AUTO,
    remote: Remote | None = None,
) -> StoredTree:
    """Make the rootfs of a plan, or take the one that is there, as a build does."""
    store = Store(cache / "store", remote)
    return make_rootfs(resolve_rootfs(plan, workspace, store, emulation=emulation, cache=cache, use=use))
