# SPDX-License-Identifier: MIT
"""Containers on a running system, without a registry: their image is made of the system's own Python.

Two services of compose: `web` answers HTTP with a sentence, `front` fetches it from `web` by name and is published.
Both are to come back after a restart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from builder.verify.live.ssh import Bench

IMAGE = "boardwright/probe"
PORT = 18080
PROJECT = "boardwright-probe"
DIRECTORY = f"{PROJECT}.d"
MEMORY = "/sys/fs/cgroup/memory.max"
INTERFACES = "/proc/net/dev"
SENTENCE = "the web service says hello"

MAKE_IMAGE = f"""set -eu
mkdir -p {DIRECTORY}
cat > {DIRECTORY}/probe.py
python=$(readlink -f /usr/bin/python3)
version=${{python##*python}}
cd /
{{
    ldd "$python" | grep -o '/[^ )]*'
    dpkg -L "libpython$version-minimal" | grep "^/usr/lib/python$version/.*[.]py$"
    echo "$python"
}} | sed 's:^/::' | sort -u > "$HOME/{DIRECTORY}/files"
tar --create --dereference --files-from "$HOME/{DIRECTORY}/files" \\
    --transform "s:^usr/bin/python$version:usr/bin/python3:" \\
    --add-file "$HOME/{DIRECTORY}/probe.py" --transform "s:.*/probe.py:probe.py:" |
docker import --change 'ENTRYPOINT ["/usr/bin/python3", "-I", "-S", "/probe.py"]' - {IMAGE}
"""
"""Makes the image; the program comes on stdin. What it needs of the system is named by ldd and dpkg."""


class Containers:
    """The image and the two services on a system."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def make_image(self, program: Path) -> None:
        """Make the image that containers start from."""
        self.bench.ask(MAKE_IMAGE, stdin=program.read_bytes())

    def run(self, *words: str, options: str = "") -> str:
        """Run the probe in a container of its own and return what it said."""
        return self.bench.ask(f"docker run --rm {options} {IMAGE} {' '.join(words)}")

    @cached_property
    def lone(self) -> Mapping[str, Any]:
        """What a container with 64 MiB, without network and with the system's /etc as /kept says of itself."""
        options = "--memory 64m --network none --volume /etc:/kept:ro"
        return dict(json.loads(self.run("report", MEMORY, INTERFACES, "/kept/hostname", options=options)))

    def start_services(self) -> None:
        """Write the compose file and bring it up."""
        service = {"image": IMAGE, "restart": "always", "pull_policy": "never"}
        services = {
            "web": service | {"command": ["answer", SENTENCE]},
            "front": service | {"command": ["relay", "web", "8000"], "ports": [f"127.0.0.1:{PORT}:8000"]},
        }
        file = json.dumps({"name": PROJECT, "services": services})
        self.bench.ask(f"cat > {DIRECTORY}/compose.yaml", stdin=file.encode())
        self.bench.ask(f"docker compose --file {DIRECTORY}/compose.yaml up --detach")

    def fetch(self) -> str:
        """Return what the published service answers, as soon as it does."""
        retry = "--retry 90 --retry-all-errors --retry-delay 1"
        return self.bench.ask(f"curl --silent --show-error --fail {retry} http://localhost:{PORT}/")

    def running_services(self) -> set[str]:
        """Return the names of the services that run."""
        said = self.bench.ask(f"docker compose --file {DIRECTORY}/compose.yaml ps --services --status running")
        return set(said.split())

    def remove(self) -> None:
        """Leave nothing on the system."""
        self.bench.ask(f"docker compose --file {DIRECTORY}/compose.yaml down; docker rmi {IMAGE}; rm -r {DIRECTORY}")
