# SPDX-License-Identifier: MIT
"""Debian's archive for all architectures, also while the mirror has caught up with some of them only.

A mirror that is being synchronised serves indexes which its signed Release does not know; APT refuses them, rightly.
A test of a board cannot wait for the mirror. So it builds from a second archive: the mirror's own packages and indexes,
passed on, under a Release that says what is there and has the test's signature. Boot blobs of vendors, whose servers a
test does not ask, have stand-ins there. Nothing that users get comes from it.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from ruamel.yaml import YAML

from tests.conftest import ROOT
from tests.support.http_server import QuietHandler, running
from tests.support.keys import OpenPgpKey, make_openpgp_key

UPSTREAM = "http://deb.debian.org"
VENDOR = re.compile(r"url: (https://raw\.githubusercontent\.com/\S+)\n    sha256: [0-9a-f]{64}")
STAND_IN_BYTES = 14000
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ARCHITECTURES = ("amd64", "arm64", "armhf", "armel", "riscv64")
COMPONENTS = ("main", "non-free-firmware")
WAIT_S = 60


@dataclass
class Mirror:
    """One archive host, its indexes as it has them now."""

    signer: OpenPgpKey
    kept: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, path: str) -> bytes | None:
        """Return what stands at a path of the host, if it is ours to say; None: the mirror's own answer is good."""
        release = re.fullmatch(r"(/[\w-]+/dists/[\w-]+)/InRelease", path)
        if path.startswith("/blobs/"):
            return make_stand_in(path)
        if not release and not path.endswith("/Packages.xz"):
            return None
        with self.lock:
            if path not in self.kept:
                self.kept[path] = self._sign(release[1]) if release else self._fetch(path)
        return self.kept[path]

    def _fetch(self, path: str) -> bytes:
        if path not in self.kept:
            answer = self.session.get(UPSTREAM + path, timeout=WAIT_S)
            answer.raise_for_status()
            self.kept[path] = answer.content
        return self.kept[path]

    @cached_property
    def session(self) -> requests.Session:
        return requests.Session()

    def _sign(self, top: str) -> bytes:
        signed = self._fetch(f"{top}/InRelease").decode()
        del self.kept[f"{top}/InRelease"]
        head = signed.partition("\n\n")[2].partition("-----BEGIN PGP SIGNATURE")[0]
        kept = [line for line in re.split(r"^(?:MD5Sum|SHA256):\n", head, flags=re.M)[0].splitlines() if line]
        lines = [line for line in kept if not line.startswith(("Acquire-By-Hash", "Changelogs"))]
        return self.signer.sign("\n".join([*lines, "SHA256:", *self._sums(top, head)]) + "\n").encode()

    def _sums(self, top: str, head: str) -> Iterator[str]:
        for component in COMPONENTS:
            for architecture in ARCHITECTURES:
                name = f"{component}/binary-{architecture}/Packages"
                if f" {name}.xz\n" in head:
                    packed = self._fetch(f"{top}/{name}.xz")
                    for data, suffix in ((packed, ".xz"), (lzma.decompress(packed), "")):
                        yield f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}{suffix}"


@cache
def find_lack(architecture: str) -> str:
    """Return what the mirror lacks of an architecture at the moment, or "": the package that every system has.

    A mirror that drops an architecture, or takes it up, has indexes without packages for a while; no test can mend it.
    """
    index = requests.get(f"{UPSTREAM}/debian/dists/trixie/main/binary-{architecture}/Packages.xz", timeout=WAIT_S)
    if not index.ok:
        return f"the mirror has no index of {architecture}: {index.status_code}"
    found = re.search(r"^Package: base-files\n(?:.+\n)*?Filename: (.+)$", lzma.decompress(index.content).decode(), re.M)
    assert found, f"the index of {architecture} has no base-files"
    answer = requests.head(f"{UPSTREAM}/debian/{found[1]}", timeout=WAIT_S)
    return "" if answer.ok else f"the mirror has an index of {architecture}, but not its packages: {answer.status_code}"


def make_stand_in(path: str) -> bytes:
    """Return bytes that stand for a vendor's: others for each path."""
    return hashlib.shake_256(path.encode()).digest(STAND_IN_BYTES)


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, mirror: Mirror, *arguments: Any) -> None:
        self.mirror = mirror
        super().__init__(*arguments)

    def do_GET(self) -> None:
        data = self.mirror.read(self.path)
        if data is not None:
            self._begin(200, len(data))
            self.wfile.write(data)
            return
        plain = {"Accept-Encoding": "identity"}
        with requests.get(UPSTREAM + self.path, stream=True, timeout=WAIT_S, headers=plain) as answer:
            self._begin(answer.status_code, int(answer.headers["Content-Length"]) if answer.ok else 0)
            if answer.ok:
                shutil.copyfileobj(answer.raw, self.wfile)

    def _begin(self, code: int, length: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        self.end_headers()


@contextmanager
def mirrored_boards(place: Path, address: str, *, reduced: Collection[str] = ()) -> Iterator[Path]:
    """Yield a copy of boards/ whose archives are on `address`, an address of this machine that the builds reach.

    Those that are `reduced` go without what is the same on every board, Docker first: it is half of a build.
    """
    with (
        make_openpgp_key("mirror") as signer,
        running(ThreadingHTTPServer((address, 0), partial(_Handler, Mirror(signer)))) as url,
    ):
        boards = _copy_boards(place, url, signer)
        for name in reduced:
            _reduce(boards / name / "board.yaml")
        yield boards


def _copy_boards(place: Path, url: str, signer: OpenPgpKey) -> Path:
    boards = place / "boards"
    shutil.copytree(ROOT / "boards", boards)
    for recipe in boards.glob("*/board.yaml"):
        text = VENDOR.sub(partial(_point_at_stand_in, url), recipe.read_text(encoding="utf-8"))
        if UPSTREAM in text:
            signer.write_public(recipe.parent / "mirror.asc")
        recipe.write_text(text.replace(UPSTREAM, url).replace(KEYRING, "mirror.asc"), encoding="utf-8")
    return boards


def _reduce(recipe: Path) -> None:
    yaml = YAML()
    data = yaml.load(recipe)
    data["docker"] = {"source": "none"}
    data.setdefault("packages", {})["comfort"] = None
    data.setdefault("units", {})["docker.service"] = None
    yaml.dump(data, recipe)


def _point_at_stand_in(url: str, found: re.Match[str]) -> str:
    path = "/blobs/" + found[1].partition("://")[2]
    return f"url: {url}{path}\n    sha256: {hashlib.sha256(make_stand_in(path)).hexdigest()}"
