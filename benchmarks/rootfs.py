# SPDX-License-Identifier: MIT
"""Where the time of a rootfs goes: python -m benchmarks.rootfs [OPTION OF BUILD...]

Needs root and an Engine on this machine (processes.py watches the kernel). The board `rpi` is built in a container of
the builder image, once to download everything, then anew while all its processes are watched, up to the end of its
rootfs. At each moment the time belongs to the work of the process that was started last; CPU time is of all processes.
Then mmdebstrap alone, native, and a build take turns, RUNS times each (3 without), and their medians are compared.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from docker import APIClient

from benchmarks.build import ROOTFS, RUNS, WAYS, find_seconds, prepare_native, run_native, started
from benchmarks.processes import Process, watched
from builder.engine.docker.connect import open_engine

WORKS = (
    ("initrd", r"/(update-initramfs|mkinitramfs)$"),
    ("byte-compiling (py3compile)", r"/(py3compile|py3clean)$"),
    ("debconf's preconfiguration", r"/(dpkg-preconfigure|apt-extracttemplates)$"),
    ("other maintainer scripts and triggers", r"\.(postinst|preinst|postrm|prerm)$|/tmp\.ci/"),
    ("unpacking (dpkg-deb)", r"/dpkg-deb$"),
    ("dpkg itself", r"/dpkg(-[a-z]+)?$"),
    ("apt itself", r"/apt(-[a-z]+)?$|/usr/lib/apt/"),
    ("mmdebstrap itself and its hooks", r"/mmdebstrap$"),
)
"""What a process is for, by the files that it and those above it ran; the first that fits."""
OURS = "Boardwright: cleaning, times, digests, users, boot files"
SHOWN = 15


@dataclass
class Seen:
    """What a build told and did."""

    steps: dict[str, tuple[float, float]]
    """Begin and end of each step of the rootfs, in seconds of the monotonic clock."""
    processes: list[Process]


def watch_build(api: APIClient, container: str, options: Sequence[str]) -> Seen:
    """Build anew in the container while its processes are watched; stop it when its rootfs is there."""
    argv = ["python3", "-m", "builder", "build", "rpi", "--json", "--no-cache", *WAYS, *options]
    steps: dict[str, tuple[float, float]] = {}
    with watched() as processes:
        job = api.exec_create(container, argv, stderr=False)["Id"]
        rest = b""
        for piece in api.exec_start(job, stream=True):
            *lines, rest = (rest + piece).split(b"\n")
            for event in map(json.loads, lines):
                if event["kind"] == "end" and event["text"].startswith(ROOTFS):
                    now = time.monotonic()
                    steps[event["text"]] = (now - event["data"]["seconds"], now)
        root = api.exec_inspect(job)["Pid"]
        if code := api.exec_inspect(job)["ExitCode"]:
            sys.exit(f"{' '.join(argv)} ended with {code}")
    return Seen(steps, [each for each in processes if any(above.pid == root for above in _lead_up(each))])


def _lead_up(process: Process | None) -> list[Process]:
    """Return a process and those above it."""
    found = []
    while process:
        found.append(process)
        process = process.parent
    return found


def find_work(process: Process) -> str:
    """Return what a process is for."""
    line = _lead_up(process)
    for work, pattern in WORKS[:4]:  # Of these, all that they start.
        if any(re.search(pattern, file) for each in line for file in each.ran):
            return work
    for each in line:
        for work, pattern in WORKS[4:]:
            if any(re.search(pattern, file) for file in each.ran):
                return work
    return OURS


def name_program(process: Process) -> tuple[str, str]:
    """Return what a process ran and how: native (of the builder), twin or emulated."""
    ran = next((each.ran for each in _lead_up(process) if each.ran), ["?"])
    twins = [file for file in ran if "/.boardwright-twins/" in file]
    how = "native" if not twins else "emulated" if twins[-1].endswith("/qemu") else "twin"
    return ran[0].rpartition("/")[2] if len(twins) < 2 else ran[-1].rpartition("/")[2], how


def tabulate(seen: Seen) -> None:
    """Print how long what took."""
    begun, ended = min(start for start, _ in seen.steps.values()), max(end for _, end in seen.steps.values())
    inside = [each for each in seen.processes if each.begun < ended and (each.ended or ended) > begun]
    works = [find_work(each) for each in inside]
    seconds, cpu, count = _share_out(inside, works, begun, ended), defaultdict[str, float](float), Counter(works)
    programs: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for process, work in zip(inside, works, strict=True):
        cpu[work] += process.cpu
        programs[name_program(process)].append(process.cpu)
    for step, (start, end) in seen.steps.items():
        print(f"{end - start:7.1f} s  {step}")
    print("\n| Work | Seconds | CPU seconds | Processes |\n|---|---|---|---|")
    for work in sorted(seconds, key=lambda work: -seconds[work]):
        print(f"| {work} | {seconds[work]:.1f} | {cpu[work]:.1f} | {count[work]} |")
    print(f"| all | {ended - begun:.1f} | {sum(cpu.values()):.1f} | {len(inside)} |")
    print("\n| Program | Runs as | CPU seconds | Times |\n|---|---|---|---|")
    for (name, how), times in sorted(programs.items(), key=lambda row: -sum(row[1]))[:SHOWN]:
        print(f"| {name} | {how} | {sum(times):.1f} | {len(times)} |")
    for kind in ("native", "twin", "emulated"):
        of_it = [times for (_, how), times in programs.items() if how == kind]
        print(f"| all | {kind} | {sum(map(sum, of_it)):.1f} | {sum(map(len, of_it))} |")


def _share_out(processes: Sequence[Process], works: Sequence[str], begun: float, ended: float) -> dict[str, float]:
    """Give each moment to the work of the process that was started last of those that live."""
    moments = sorted(
        (moment, number, is_start)
        for number, each in enumerate(processes)
        for moment, is_start in ((max(each.begun, begun), True), (min(each.ended or ended, ended), False))
    )
    shares, alive, last = dict.fromkeys(works, 0.0), set[int](), begun
    for moment, number, is_start in moments:
        if alive:
            shares[works[max(alive, key=lambda each: processes[each].begun)]] += moment - last
        last = moment
        (alive.add if is_start else alive.discard)(number)
    return shares


def main() -> None:
    """Watch a build, and compare with mmdebstrap alone."""
    options = sys.argv[1:]
    with open_engine() as api, started(api) as builder:
        builder.build("rpi", *options)
        tabulate(watch_build(api, builder.name, options))
        argv = prepare_native(builder)
        natives, ours = list[float](), list[float]()
        for _ in range(RUNS):
            natives.append(run_native(builder, argv).seconds)
            builder.prepare("sync")
            ours.append(find_seconds(builder.build("rpi", "--no-cache", *options), ROOTFS))
        rootfs, native = statistics.median(ours), statistics.median(natives)
        print(f"\nrootfs {rootfs:.1f} s, mmdebstrap alone {native:.1f} s: {rootfs / native:.2f}")
        print(f"of {', '.join(f'{one:.1f}/{other:.1f}' for one, other in zip(ours, natives, strict=True))}")


if __name__ == "__main__":
    main()
