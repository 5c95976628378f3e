# SPDX-License-Identifier: MIT
"""A kernel package of a higher version, installed as `apt upgrade` does: on a running system that then restarts, and in
the tree of a board that then starts for the first time.
"""

from __future__ import annotations

import lzma
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from builder.system.process import run
from builder.verify.live.ssh import LiveSystem
from tests.support.archive import serve
from tests.support.mirror import UPSTREAM, WAIT_S

SUITES = ("debian/dists/trixie", "debian/dists/trixie-updates", "debian-security/dists/trixie-security")
REBUILT = "+rebuilt"


@dataclass(frozen=True)
class Shelf:
    """Packages for a machine in QEMU, whose router leads to this machine's loopback interface."""

    directory: Path
    url: str


@contextmanager
def opened_shelf(directory: Path) -> Iterator[Shelf]:
    """Serve a directory to machines."""
    directory.mkdir()
    with serve(directory) as url:
        yield Shelf(directory, url.replace("127.0.0.1", "10.0.2.2"))


def upgrade_kernel(live: LiveSystem, shelf: Shelf, architecture: str, boot_files: str) -> None:
    """Take the boot files away, install a rebuilt kernel, restart: the system comes up by boot files of the hook."""
    release = live.ask("uname -r")
    package = f"linux-image-{release}"
    version = live.ask(f"dpkg-query --show --showformat='${{Version}}' {package}")
    deb = rebuild(package, version, architecture, shelf.directory)
    live.ask(f"curl --silent --fail --output /var/tmp/{deb.name} {shelf.url}/{deb.name}")
    live.ask(f"sudo rm {boot_files}")
    live.ask(
        f"nohup sudo apt-get install -y /var/tmp/{deb.name} >install.log 2>&1 </dev/null; echo $? >install.code",
        timeout_s=1200,
    )
    assert live.ask("cat install.code") == "0", live.ask("tail -n 30 install.log")
    assert live.ask(f"ls {boot_files}")
    live.restart()
    assert live.ask("uname -r") == release
    assert live.ask(f"dpkg-query --show --showformat='${{Version}}' {package}") == version + REBUILT
    assert live.ask("systemctl is-system-running") == "running"


CUSTOMISE = """\
rm {boot_file}
dpkg --install {deb}
cp {boot_file} {by_hook} # The hook of the package wrote it, or there would be none.
"""
BY_HOOK = "/var/lib/boardwright-upgrade"
DEB = "/usr/local/share/kernel.deb"
"""Where the package lies in the image, and stays: a spec misses every file of the board that is not there."""


@dataclass(frozen=True)
class Kernel:
    """An installed kernel package."""

    package: str
    version: str
    architecture: str

    @property
    def release(self) -> str:
        """What `uname -r` prints."""
        return self.package.removeprefix("linux-image-")


def find_kernel(listing: Path) -> Kernel:
    """Return the kernel package of an image, from the list of packages that comes with it."""
    rows = [line.split("\t") for line in listing.read_text().splitlines()[1:]]
    (found,) = [row for row in rows if re.fullmatch(r"linux-image-\d.*", row[0])]
    return Kernel(found[0], found[1], found[2])


def write_upgraded_board(boards: Path, parent: str, kernel: Kernel, *, scratch: Path) -> str:
    """Write a board like `parent` whose boot files are removed and whose kernel is then upgraded; return its name."""
    name = f"{parent}-upgraded"
    target = boards / name / "files" / DEB.lstrip("/")
    target.parent.mkdir(parents=True)
    scratch.mkdir()
    deb = rebuild(kernel.package, kernel.version, kernel.architecture, scratch)
    deb.rename(target)
    (boards / name / "board.yaml").write_text(f"extends: {parent}\ntitle: The same with another kernel\n")
    script = CUSTOMISE.format(boot_file="/boot/extlinux/extlinux.conf", deb=DEB, by_hook=BY_HOOK)
    (boards / name / "customise.sh").write_text(script)
    return name


def check_upgraded(live: LiveSystem, kernel: Kernel) -> None:
    """Assert that a system runs the upgraded kernel, by the boot files of the hook."""
    assert live.ask("uname -r") == kernel.release
    installed = live.ask(f"dpkg-query --show --showformat='${{Version}}' {kernel.package}")
    assert installed == kernel.version + REBUILT
    live.ask(f"cmp /boot/extlinux/extlinux.conf {BY_HOOK}")
    assert live.ask("systemctl is-system-running --wait") == "running"


def rebuild(package: str, version: str, architecture: str, directory: Path) -> Path:
    """Build the package again under a higher version, and return the .deb."""

    def raise_version(tree: Path) -> None:
        control = tree / "DEBIAN/control"
        text = control.read_text()
        control.write_text(text.replace(f"Version: {version}\n", f"Version: {version}{REBUILT}\n"))
        assert control.read_text() != text

    return repack(find_deb(package, version, architecture), directory / "kernel.deb", raise_version)


def repack(url: str, deb: Path, change: Callable[[Path], None]) -> Path:
    """Fetch a package, change its files and those of DEBIAN, write it to `deb` and return that."""
    original, tree = deb.with_suffix(".original"), deb.parent / "tree"
    original.write_bytes(requests.get(url, timeout=WAIT_S).content)
    run(["dpkg-deb", "--raw-extract", original, tree])
    change(tree)
    # Not packed: the machine that unpacks it may be emulated.
    run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, deb])
    shutil.rmtree(tree)
    original.unlink()
    return deb


def find_deb(package: str, version: str, architecture: str) -> str:
    """Return the address of a package of that very version."""
    for suite in SUITES:
        for entry in read_entries(suite, architecture):
            if f"Package: {package}\n" in entry and f"\nVersion: {version}\n" in entry:
                return find_url(suite, entry)
    raise AssertionError(f"no archive has {package} {version} for {architecture}")


def read_entries(suite: str, architecture: str) -> list[str]:
    """Return the entries of an index of the archive."""
    index = requests.get(f"{UPSTREAM}/{suite}/main/binary-{architecture}/Packages.xz", timeout=WAIT_S).content
    return lzma.decompress(index).decode().split("\n\n")


def find_url(suite: str, entry: str) -> str:
    """Return the address of the package of an entry."""
    path = re.search(r"^Filename: (.*)$", entry, re.MULTILINE)
    assert path
    return f"{UPSTREAM}/{suite.partition('/')[0]}/{path[1]}"
