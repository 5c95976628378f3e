# SPDX-License-Identifier: MIT
"""Run containers on a running system without a registry: their image is made of the system's own Python.

Compose starts two services. `web` answers HTTP with a sentence; `front` fetches it from `web` by name and has a
published port. Both must come back after a restart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from builder.verify.live.ssh import LiveSystem

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
"""Script that makes the image; the program comes on stdin. ldd and dpkg name the files that it needs."""


class Containers:
    """Image and services of the specs on a running system."""

    def __init__(self, live: LiveSystem) -> None:
        self.live = live

    def make_image(self, program: Path) -> None:
        """Make the image of the containers."""
        self.live.ask(MAKE_IMAGE, stdin=program.read_bytes())

    def run(self, *arguments: str, options: str = "") -> str:
        """Run the probe in a new container and return its output."""
        return self.live.ask(f"docker run --rm {options} {IMAGE} {' '.join(arguments)}")

    @cached_property
    def lone(self) -> Mapping[str, Any]:
        """Report of a container with 64 MiB of memory, without network, with the system's /etc as /kept."""
        options = "--memory 64m --network none --volume /etc:/kept:ro"
        return dict(json.loads(self.run("report", MEMORY, INTERFACES, "/kept/hostname", options=options)))

    def start_services(self) -> None:
        """Write the compose file and start its services."""
        service = {"image": IMAGE, "restart": "always", "pull_policy": "never"}
        services = {
            "web": service | {"command": ["answer", SENTENCE]},
            "front": service | {"command": ["relay", "web", "8000"], "ports": [f"127.0.0.1:{PORT}:8000"]},
        }
        file = json.dumps({"name": PROJECT, "services": services})
        self.live.ask(f"cat > {DIRECTORY}/compose.yaml", stdin=file.encode())
        self.live.ask(f"docker compose --file {DIRECTORY}/compose.yaml up --detach")

    def fetch(self) -> str:
        """Return the answer of the published service; retry until there is one."""
        retry = "--retry 90 --retry-all-errors --retry-delay 1"
        return self.live.ask(f"curl --silent --show-error --fail {retry} http://localhost:{PORT}/")

    def running_services(self) -> set[str]:
        """Return the names of the running services."""
        output = self.live.ask(f"docker compose --file {DIRECTORY}/compose.yaml ps --services --status running")
        return set(output.split())

    def remove(self) -> None:
        """Remove services, image and files from the system."""
        self.live.ask(f"docker compose --file {DIRECTORY}/compose.yaml down; docker rmi {IMAGE}; rm -r {DIRECTORY}")
