# SPDX-License-Identifier: MIT
"""Package archives that a test makes itself: tiny packages, indices, a signature; served on loopback."""

from __future__ import annotations

import functools
import gzip
import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from builder.system.process import run
from tests.support.http_server import QuietHandler, running
from tests.support.keys import OpenPgpKey

ARCHITECTURE = "all"
DAY_S = 86400


class Quiet(QuietHandler, SimpleHTTPRequestHandler):
    """Keeps connections: APT asks for several files at once, and one that is closed with questions in it is reset,
    answers and all."""

    protocol_version = "HTTP/1.1"

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.send_response(code, message)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """Serve a directory on loopback and yield its address."""
    handler = functools.partial(Quiet, directory=str(directory))
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as url:
        yield url


@dataclass(frozen=True)
class Archive:
    """One archive below the server's directory."""

    directory: Path
    url: str
    signer: OpenPgpKey
    debs: list[Path] = field(default_factory=list)

    def add(
        self,
        name: str,
        version: str = "1.0",
        *,
        files: Mapping[str, str] | None = None,
        scripts: Mapping[str, str] | None = None,
        fields: str = "",
    ) -> Path:
        """Build a package of text files; those below a bin or sbin are programs."""
        deb = build_deb(self.directory / "pool", name, version, files=files or {}, scripts=scripts or {}, fields=fields)
        self.debs.append(deb)
        return deb

    def publish(
        self,
        *,
        suite: str = "trixie",
        component: str = "main",
        signer: OpenPgpKey | None = None,
        signed: bool = True,
        ages_s: tuple[float, float] = (-3600, 7 * DAY_S),
    ) -> None:
        """Write indices and InRelease; `ages_s` says when Release was made and when it expires, from now."""
        top, architecture = self.directory / "dists" / suite, run(["dpkg", "--print-architecture"]).stdout.strip()
        index = top / component / f"binary-{architecture}/Packages"
        index.parent.mkdir(parents=True, exist_ok=True)
        index.write_text("\n".join(self._render_entry(deb) for deb in self.debs))
        index.with_suffix(".gz").write_bytes(gzip.compress(index.read_bytes(), mtime=0))
        names = (index, index.with_suffix(".gz"))
        sums = "".join(f" {_sha256(path)} {path.stat().st_size} {path.relative_to(top)}\n" for path in names)
        made, expires = (formatdate(time.time() + age, usegmt=True).replace("GMT", "UTC") for age in ages_s)
        release = (
            f"Origin: Test\nLabel: {self.directory.name}\nSuite: {suite}\nCodename: {suite}\n"
            f"Date: {made}\nValid-Until: {expires}\n"
            f"Architectures: {architecture}\nComponents: {component}\nSHA256:\n{sums}"
        )
        if signed:
            (top / "InRelease").write_text((signer or self.signer).sign(release))
        else:
            (top / "Release").write_text(release)

    def _render_entry(self, deb: Path) -> str:
        control = run(["dpkg-deb", "--field", deb]).stdout
        place = deb.relative_to(self.directory)
        return f"{control}Filename: {place}\nSize: {deb.stat().st_size}\nSHA256: {_sha256(deb)}\n"


def build_deb(
    directory: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str],
    scripts: Mapping[str, str] | None = None,
    fields: str = "",
    built: int = 1_690_000_000,
) -> Path:
    """Build one package below `directory`, as if at the time `built`."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        control = {
            "control": f"Package: {name}\nVersion: {version}\nArchitecture: {ARCHITECTURE}\n"
            f"Maintainer: Nobody <nobody@localhost>\nDescription: test\n{fields}",
            **(scripts or {}),
        }
        for path, text in [*((f"DEBIAN/{key}", text) for key, text in control.items()), *files.items()]:
            target = tree / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            is_program = {"bin", "sbin"} & set(target.parts) or path in ("DEBIAN/postinst", "DEBIAN/preinst")
            target.chmod(0o755 if is_program else 0o644)
        tree.chmod(0o755)
        directory.mkdir(parents=True, exist_ok=True)
        deb = directory / f"{name}_{version}_{ARCHITECTURE}.deb"
        run(["dpkg-deb", "--build", "--root-owner-group", tree, deb], env={"SOURCE_DATE_EPOCH": str(built)})
        return deb


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
