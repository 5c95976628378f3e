# SPDX-License-Identifier: MIT
"""GitHub's own description of its API, and a proxy that holds requests and answers against it.

The description comes from npm (@octokit/openapi), the proxy is Prism. Of the description's 13 MB only the paths that
are asked for are kept, with all they refer to: Prism takes a minute to start with the whole of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.wait import wait_until

HERE = Path(__file__).parent
PATHS = (
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/git/ref/{ref}",
    "/repos/{owner}/{repo}/releases",
    "/repos/{owner}/{repo}/releases/{release_id}",
    "/repos/{owner}/{repo}/releases/{release_id}/assets",
    "/repos/{owner}/{repo}/releases/assets/{asset_id}",
)
START_S = 60


def install() -> Path:
    """Return a directory with the pinned npm packages, kept beside the virtual environment's own."""
    lock = (HERE / "package-lock.json").read_bytes()
    place = Path(sys.prefix) / "share/boardwright-tests" / hashlib.sha256(lock).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, place)
            words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(words, cwd=place, check=True, capture_output=True)
            _cut(place)
            (place / "complete").touch()
    return place


def _cut(place: Path) -> None:
    """Write the part of the description that is used, and remove the rest: 450 MB."""
    generated = place / "node_modules/@octokit/openapi/generated"
    whole = json.loads((generated / "api.github.com.json").read_text(encoding="utf-8"))
    part = {key: whole[key] for key in ("openapi", "info", "servers")}
    part["paths"] = {path: whole["paths"][path] for path in PATHS}
    part["components"] = {}
    left = [part["paths"]]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            _, _, kind, name = (str(each.get("$ref", "")).split("/") + [""] * 4)[:4]
            if name and name not in part["components"].setdefault(kind, {}):
                part["components"][kind][name] = whole["components"][kind][name]
                left.append(whole["components"][kind][name])
            left.extend(each.values())
        if isinstance(each, list):
            left.extend(each)
    (place / "github.json").write_text(json.dumps(part), encoding="utf-8")
    shutil.rmtree(generated)


def load_examples(place: Path) -> dict[str, Any]:
    """Return the examples of the description, by name."""
    description = json.loads((place / "github.json").read_text(encoding="utf-8"))
    return {name: each["value"] for name, each in description["components"]["examples"].items() if "value" in each}


@contextmanager
def serve_prism(place: Path, upstream: str, log: Path) -> Iterator[tuple[str, int]]:
    """Start Prism before a server, and yield its address. Its answers say in sl-violations what is wrong."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = place / "node_modules/@stoplight/prism-cli/dist/index.js"
    words = ["node", program, "proxy", place / "github.json", upstream, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as stream, subprocess.Popen(list(map(str, words)), stdout=stream, stderr=stream) as process:
        try:
            _wait(process, port, log)
            yield "127.0.0.1", port
        finally:
            process.terminate()
            process.wait(10)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
        except requests.ConnectionError:
            return False
        return True

    wait_until(answers, f"Prism does not answer; its log is {log}", START_S)
