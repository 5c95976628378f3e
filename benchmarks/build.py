# SPDX-License-Identifier: MIT
"""How long builds take. All in one run, on one machine:

    make bench

Everything runs in one container of the builder image, with a volume of its own that goes at the end, so that the
start of a container is not in the figures. Packages are downloaded before anything is timed. What takes seconds is run
RUNS times (3 without) and its median counts; what takes minutes is run once. The table goes to stdout.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker import APIClient

from builder.engine.docker.builder_image import make_builder_image
from builder.engine.docker.connect import open_engine
from builder.engine.docker.container import STATE, create, make_job, remove
from builder.engine.docker.transfer import BOARDS, put_inputs
from builder.plan.make import make_plan
from builder.recipe.load import load_board

ROOT = Path(__file__).resolve().parents[1]
LAYERS, DIST, DISK = f"{STATE}/cache/layers", f"{STATE}/dist", f"{STATE}/disk.ext4"
NATIVE = f"{STATE}/plain"
WAYS = (
    *("--engine", "local", "--boards", BOARDS, "--state", STATE, "--output", DIST),
    *("--version", "1.0", "--epoch", "1780000000", "--compress", "none", "--no-verify"),
)
"""How a board is built here: to the uncompressed image. The specs have a benchmark of their own."""
ROOTFS = ("emulation", "base: ", "packages: ", "system: ")
"""The steps of a build that make its rootfs, once packages are downloaded."""
RUNS = int(os.environ.get("RUNS", "3"))

SOURCES = "".join(
    f"Types: deb\nURIs: http://deb.debian.org/{archive}\nSuites: {suites}\nComponents: main non-free-firmware\n"
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
    for archive, suites in (("debian", "trixie trixie-updates"), ("debian-security", "trixie-security"))
)


@dataclass(frozen=True)
class Taken:
    """What a command took: seconds, the most memory of its processes, and what it said on stdout."""

    seconds: float
    mib: int
    said: str


class Builder:
    """The container."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str) -> Taken:
        """Run a command to its end; leave with its words if it fails."""
        done = self._exec("python3", "/build/inside.py", *command)
        measured = json.loads(done.stderr.splitlines()[-1]) if done.stderr else {"code": done.returncode}
        if measured["code"]:
            sys.exit(f"{' '.join(command)} ended with {measured['code']}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        taken = Taken(measured["seconds"], measured["mib"], done.stdout)
        print(f"{taken.seconds:8.1f} s {taken.mib:6} MiB  {' '.join(command)[:100]}", file=sys.stderr)
        return taken

    def build(self, board: str, *options: str) -> Taken:
        """Build a board."""
        return self.run("python3", "-m", "builder", "build", board, "--json", *WAYS, *options)

    def prepare(self, script: str) -> None:
        """Do what is not timed."""
        if (done := self._exec("sh", "-ec", script)).returncode:
            sys.exit(f"{script} ended with {done.returncode}:\n{done.stderr}")

    def _exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", "exec", self.name, *command], capture_output=True, text=True, check=False)


@contextmanager
def started(api: APIClient) -> Iterator[Builder]:
    """Start the container with an empty volume; both go at the end."""
    image, volume = make_builder_image(api), f"boardwright-bench-{os.getpid()}"
    job = make_job(image, "bench", ("sleep", "infinity"), ROOT / "bench", volume=volume)
    create(api, job)
    try:
        put_inputs(api, job.name, {BOARDS: ROOT / "boards", "/build/inside.py": ROOT / "benchmarks/inside.py"})
        api.start(job.name)
        yield Builder(job.name)
    finally:
        remove(api, job.name)
        api.remove_volume(volume)


def find_seconds(taken: Taken, steps: Sequence[str]) -> float:
    """Return how long steps of a build took together."""
    events = [json.loads(line) for line in taken.said.splitlines()]
    ends = [event for event in events if event["kind"] == "end" and event["text"].startswith(tuple(steps))]
    return sum(float(event["data"]["seconds"]) for event in ends)


def median(values: Sequence[Taken]) -> float:
    """Return the median of the seconds."""
    return statistics.median(value.seconds for value in values)


def measure_native(builder: Builder) -> float:
    """Return how long mmdebstrap alone takes for the same packages of this machine's own architecture."""
    argv = prepare_native(builder)
    return median([run_native(builder, argv) for _ in range(2)])


def prepare_native(builder: Builder) -> tuple[str, ...]:
    """Download what mmdebstrap alone needs, by a first run, and return its command."""
    plan = make_plan(load_board(ROOT / "boards", "rpi"), version="1.0", epoch=0)
    # The firmware of the Raspberry Pi is for Arm alone.
    names = [name.replace("arm64", "amd64") for name in plan.packages.names if name != "raspi-firmware"]
    debs = f"{STATE}/debs"
    builder.prepare(f"mkdir -p {debs}; printf '{SOURCES}' > /build/trixie.sources".replace("\n", "\\n"))
    argv = (
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--dpkgopt=force-unsafe-io"),
        *('--aptopt=APT::Install-Recommends "false"', f"--include={','.join(names)}"),
        f'--setup-hook=mkdir -p "$1/var/cache/apt/archives" && cp -a {debs}/. "$1/var/cache/apt/archives/"',
        f'--customize-hook=cp -an "$1"/var/cache/apt/archives/*.deb {debs}/ || true',
        *("--skip=essential/unlink", "trixie", NATIVE, "/build/trixie.sources"),
    )
    run_native(builder, argv)
    return argv


def run_native(builder: Builder, argv: Sequence[str]) -> Taken:
    """Run mmdebstrap alone, when all that was written before is on the disk."""
    builder.prepare("sync")
    taken = builder.system.process(*argv)
    builder.prepare(f"rm -rf {NATIVE}")
    return taken


def measure_change(builder: Builder) -> tuple[list[Taken], list[Taken]]:
    """Return builds after a change of one file, and mke2fs alone of the same tree."""
    changed, alone = [], []
    for number in range(RUNS):
        builder.prepare(f"mkdir -p {BOARDS}/rpi/files/etc; echo {number} > {BOARDS}/rpi/files/etc/changed")
        changed.append(builder.build("rpi"))
    copy = f"cp -a {LAYERS}/$layer-trixie-arm64-*/tree/. {STATE}/whole/"
    builder.prepare(f"mkdir {STATE}/whole; for layer in base packages; do {copy}; done")
    for _ in range(RUNS):
        builder.prepare(f"rm -f {DISK}; truncate -s 2G {DISK}; sync")
        alone.append(builder.system.process("mke2fs", "-q", "-F", "-t", "ext4", "-d", f"{STATE}/whole", DISK))
    builder.prepare(f"rm -rf {STATE}/whole {DISK}")
    return changed, alone


def read_digests(builder: Builder) -> list[str]:
    """Return the digests of the layers that are there."""
    script = (
        f"import json, glob; print(sorted(json.load(open(p))['digest'] for p in glob.glob('{LAYERS}/*/made.json')))"
    )
    return [builder.system.process("python3", "-c", script).said.strip()]


def measure(builder: Builder) -> Iterator[tuple[str, str, str]]:
    """Yield work, figure and target."""
    forget = f"rm -rf {LAYERS} {STATE}/rooms {DIST}"
    builder.build("rpi")
    builder.build("qemu-arm64")
    builder.prepare(forget)
    first = builder.build("rpi")
    rootfs, digests = find_seconds(first, ROOTFS), read_digests(builder)
    yield "first image of `rpi`, packages downloaded", f"{first.seconds:.0f} s", ""
    yield "… its rootfs alone", f"{rootfs:.0f} s", ""
    builder.build("rpi", "--compress", "zst")
    again = [builder.build("rpi", "--compress", "zst") for _ in range(RUNS)]
    yield "nothing changed: `build rpi` again", f"{median(again):.2f} s", "≤ 1.5 s"
    changed, alone = measure_change(builder)
    yield "one overlay file changed → finished `.img`", f"{median(changed):.1f} s", "≤ 12 s"
    yield "… ÷ `mke2fs -d` of the same tree", f"{median(changed) / median(alone):.1f}", "≤ 3"
    second = builder.build("qemu-arm64")
    yield "second board of the architecture ÷ first", f"{second.seconds / first.seconds:.2f}", "≤ 0.5"
    peak = max(taken.mib for taken in (first, second, *changed))
    yield "most memory of a whole build", f"{peak} MiB", "≤ 1536 MiB"
    native = measure_native(builder)
    yield "rootfs of `rpi` ÷ mmdebstrap alone, native amd64, same list", f"{rootfs / native:.2f}", "≤ 1.3"
    builder.prepare(forget)
    emulated = builder.build("rpi", "--emulation", "qemu")
    slow = find_seconds(emulated, ROOTFS)
    yield "rootfs of `rpi` by mmdebstrap under qemu-user alone", f"{slow:.0f} s", ""
    yield "redirect ÷ that", f"{rootfs / slow:.3f}", "≤ 0.08"
    same = "the same" if read_digests(builder) == digests else "others"
    yield "digests of the layers, redirect and qemu-user", same, "the same"


def main() -> None:
    """Run everything and print the table, row by row."""
    print("| Work | Measured | Target |\n|---|---|---|", flush=True)
    with open_engine() as api, started(api) as builder:
        for row in measure(builder):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
