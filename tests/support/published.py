# SPDX-License-Identifier: MIT
"""Releases as they lie on a server, made by hand from the models, and a web server that serves them well or badly."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from builder.packaging.model import (
    Channel,
    ChannelEntry,
    PackagedFile,
    PackagedImage,
    PackagedPartition,
    Release,
    Released,
    Role,
    Specs,
    render,
    render_package,
)
from tests.support.http_server import QuietHandler, QuietServer, running
from tests.support.keys import MinisignKey

EPOCH = 1_790_000_000
TITLES = {"rpi": "Raspberry Pi 3, 4, 5 and Zero 2 W", "qemu-arm64": "QEMU virtual machine, 64-bit Arm"}
IMAGER = {"rpi": ["pi3-64bit", "pi4-64bit", "pi5-64bit"]}
FEATURES = {"rpi": ["bluetooth", "ethernet", "gpio", "wifi"], "qemu-arm64": ["ethernet", "virtual"]}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def image_of(board: str, version: str) -> bytes:
    """A stand-in for a disk: as long as is needed to be cut in the middle."""
    return f"{board} {version} ".encode() * 50_000


class Published:
    """A directory of releases: `tree` is what a server serves."""

    def __init__(self, tree: Path, signer: MinisignKey | None) -> None:
        self.tree = tree
        self.signer = signer
        self.history: dict[str, list[ChannelEntry]] = {}

    def package(self, tag: str, board: str, *, compressions: tuple[str, ...] = ("xz", "zst")) -> Released:
        """Make a packaged image below the tag."""
        version = tag.removeprefix("v")
        name, place = f"boardwright-{board}-{version}", self.tree / tag / board
        place.mkdir(parents=True)
        disk = image_of(board, version)
        content: dict[str, tuple[Role, bytes]] = {
            f"{name}.img.{each}": ("image", f"{each} of ".encode() + disk) for each in compressions
        }
        content[f"{name}.bmap"] = ("bmap", b"<bmap/>")
        content[f"{name}.packages"] = ("packages", b"name\tversion\n")
        content[f"{name}.spdx.json"] = ("sbom", b"{}")
        content[f"{name}.report.html"] = ("report", b"<html></html>")
        lines = "".join(f"{digest(data)}  {each}\n" for each, (_, data) in content.items())
        content[f"{name}.SHA256SUMS"] = ("sums", lines.encode())
        for each, (_, data) in content.items():
            (place / each).write_bytes(data)
        files = [_file(place / each, role) for each, (role, _) in content.items()]
        if self.signer:
            files.append(_file(self.signer.sign(place / f"{name}.SHA256SUMS"), "signature"))
        made = self._describe(tag, board, files)
        description = place / f"{name}.manifest.json"
        description.write_text(render_package(made), encoding="utf-8")
        return self.signed(made, place)

    def signed(self, package: PackagedImage, place: Path) -> Released:
        """Sign the description, and return what release.json says of the whole."""
        description = place / f"{package.name}.manifest.json"
        files = [_file(description, "manifest")]
        if self.signer:
            files.append(_file(self.signer.sign(description), "signature"))
        return Released.model_construct(image=package, signed=files)  # Also what no publisher would write.

    def _describe(self, tag: str, board: str, files: list[PackagedFile]) -> PackagedImage:
        version = tag.removeprefix("v")
        disk = image_of(board, version)
        return PackagedImage(
            name=f"boardwright-{board}-{version}",
            board=board,
            title=TITLES[board],
            architecture="arm64",
            features=FEATURES[board],
            imager=IMAGER.get(board, []),
            version=version,
            epoch=EPOCH + _age(tag),
            image_size_bytes=len(disk),
            image_sha256=digest(disk),
            specs=Specs(passed=615, failed=0, skipped=2, levels=["offline"], image_sha256=digest(disk)),
            partitions=[PackagedPartition(name="boot", filesystem="fat32", size_bytes=2**29, mount="/boot/firmware")],
            files=files,
        )

    def release(self, tag: str, boards: tuple[str, ...] = ("rpi", "qemu-arm64"), **kinds: tuple[str, ...]) -> Release:
        """Make a release with release.json, not yet in a channel."""
        made = Release(
            tag=tag,
            version=tag.removeprefix("v"),
            prerelease="rc" in tag,
            date=datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(days=_age(tag)),
            notes="",
            boards={board: self.package(tag, board, **kinds) for board in boards},
        )
        self.write(made)
        return made

    def write(self, release: Release) -> None:
        """Write release.json."""
        (self.tree / release.tag / "release.json").write_bytes(render(release))

    def name(self, channel: str, release: Release) -> Channel:
        """Have a channel name a release."""
        entry = ChannelEntry(tag=release.tag, version=release.version, date=release.date, boards=list(release.boards))
        self.history[channel] = [entry, *self.history.get(channel, [])]
        made = Channel(channel=channel, release=release, history=self.history[channel])
        place = self.tree / "channels" / f"{channel}.json"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(render(made))
        return made


def _age(tag: str) -> int:
    """A later tag is younger."""
    return sum(int(number) * 100**place for place, number in enumerate(reversed(re.findall(r"\d+", tag)[:2])))


def _file(path: Path, role: Role) -> PackagedFile:
    content = path.read_bytes()
    return PackagedFile(name=path.name, role=role, size_bytes=len(content), sha256=digest(content))


Behaviour = Literal["good", "no ranges", "breaks once", "breaks", "cuts", "other part", "endless", "stalls"]


class Handler(QuietHandler):
    """Serves files with Range, as the server's behaviour says."""

    server: Server

    def do_GET(self) -> None:
        path = self.server.tree / self.path.lstrip("/").split("?")[0]
        asked = self.headers.get("Range", "")
        self.server.asked[self.path] += 1
        self.server.ranges.append(asked)
        if self.path in self.server.redirects:
            self._send(302, b"", {"Location": self.server.redirects[self.path]})
        elif not path.is_file():
            self._send(404, b"nothing here")
        else:
            self._serve(path, asked)

    def _serve(self, path: Path, asked: str) -> None:
        content, large = path.read_bytes(), ".img." in path.name and not path.name.endswith(".bmap")
        behaviour = self.server.behaviour if large else "good"
        if behaviour == "cuts":
            content = content[:100_000]
        if behaviour == "endless":
            content += content
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and behaviour != "no ranges" else 0
        if start and start >= len(content):
            self._send(416, b"")
            return
        shown = start + 1 if behaviour == "other part" else start
        headers = {"Content-Range": f"bytes {shown}-{len(content) - 1}/{len(content)}"} if start else {}
        breaks = behaviour in ("breaks", "stalls") or (behaviour == "breaks once" and self.server.asked[self.path] == 1)
        part = content[start : start + (300_000 if behaviour == "stalls" else 200_000)] if breaks else content[start:]
        self._send(206 if start else 200, part, headers, length=len(content) - start)
        if behaviour == "stalls":
            self.wfile.flush()
            self.server.goes_on.wait(10)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Server(QuietServer):
    """A web server over a directory, and what it remembers."""

    def __init__(self, tree: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tree = tree
        self.behaviour: Behaviour = "good"
        self.asked: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.redirects: dict[str, str] = {}
        self.goes_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(tree: Path) -> Iterator[Server]:
    server = Server(tree)
    with running(server):
        yield server


def change_release(published: Published, tag: str, change: Callable[[Release], Release]) -> Release:
    """Change release.json, as an attacker who may write to the server can."""
    path = published.tree / tag / "release.json"
    changed = change(Release.model_validate_json(path.read_bytes()))
    path.write_bytes(render(changed))
    return changed
