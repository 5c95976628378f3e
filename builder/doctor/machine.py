# SPDX-License-Identifier: MIT
"""Examine this machine: privileges, tools, loop devices, kernel, space, leftovers.

Only `release_stray_loops` changes something. It runs on this machine for local builds, and in a container to examine
the Engine's volume.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from contextlib import suppress
from pathlib import Path

from builder import log
from builder.engine.finding import Finding
from builder.engine.local import TOOLS
from builder.system.loop import find_free
from builder.system.process import run
from builder.system.resources import DELETED, attached_files, is_backed_by
from builder.system.tools import DEBIAN_PACKAGES, has_tool
from builder.system.workspace import find_leftovers
from builder.units import GIB, render_size

ROOM = 6 * GIB
"""A build holds the packages, the tree, the image and the artefact at once; about 4 GiB with Docker in it."""
PRIVATE_BINFMT = (6, 7)
"""Since Linux 6.7 each user namespace can have its own binfmt_misc."""
FIX = "boardwright doctor --fix"


def examine_root() -> list[Finding]:
    """Check whether this user may build on this machine."""
    if os.geteuid() == 0:
        return [Finding("privileges", True, "root")]
    return [Finding("privileges", False, "not root", "use Docker, or run as root")]


def examine_tools() -> list[Finding]:
    """Say which programs are missing, and the packages that have them."""
    missing = sorted(tool for tool in TOOLS if not has_tool(tool))
    if not missing:
        return [Finding("tools", True, f"all {len(TOOLS)} installed")]
    packages = sorted({DEBIAN_PACKAGES[tool] for tool in missing})
    return [Finding("tools", False, f"missing: {', '.join(missing)}", f"apt-get install {' '.join(packages)}")]


def examine_loop() -> list[Finding]:
    """Check whether loop devices work; without them, images are assembled another way with the same bytes."""
    try:
        name = find_free()
    except OSError as error:
        text = f"cannot be used ({error.strerror}); images are assembled offline, with the same bytes"
        return [Finding("loop", True, text)]
    return [Finding("loop", True, f"usable, /dev/{name} is free")]


def examine_kernel(release_name: str = "") -> list[Finding]:
    """Check how programs of a foreign architecture run on a kernel; default: that of this machine."""
    name = release_name or platform.release()
    numbers = re.match(r"(\d+)\.(\d+)", name)
    if numbers and (int(numbers[1]), int(numbers[2])) >= PRIVATE_BINFMT:
        return [Finding("emulation", True, f"Linux {name} has private binfmt_misc: foreign packages at native speed")]
    handlers = sorted(path.name for path in Path("/proc/sys/fs/binfmt_misc").glob("qemu-*"))
    if handlers:
        text = f"Linux {name} has no private binfmt_misc: foreign packages run in qemu-user, which is slow"
        return [Finding("emulation", True, text)]
    text = f"Linux {name} has no private binfmt_misc, and no qemu-user is registered: native boards only"
    return [Finding("emulation", False, text, "apt-get install qemu-user-static binfmt-support, or Linux 6.7")]


def examine_space(state: Path) -> list[Finding]:
    """Check whether a build fits on the disk of the state directory."""
    directory = next(path for path in (state, *state.resolve().parents) if path.exists())
    free = shutil.disk_usage(directory).free
    text = f"{render_size(free)} free in {directory}"
    return [Finding("space", free >= ROOM, text, f"a build needs {render_size(ROOM)}; free some disk space")]


def examine_leftovers(state: Path) -> list[Finding]:
    """List resources that dead builds still hold."""
    journals = [
        Finding("leftovers", False, f"{held.kind} {held.name}", FIX)
        for leftovers in find_leftovers(state)
        for held in leftovers.held
    ]
    loops = [
        Finding("loop devices", False, f"{device} is attached to {backing}, which no build uses", FIX)
        for device, backing in find_stray_loops(state)
    ]
    return journals + loops or [Finding("leftovers", True, "none")]


def find_stray_loops(state: Path) -> list[tuple[str, str]]:
    """Return loop devices attached to files below the state directory that no journal names, with these files."""
    attached = attached_files()  # Before the journals are read: builds write to the journal before they attach.
    journals = _read_journals(state)
    below = f"{state.resolve()}/"
    strays = []
    for name, backing in attached:
        path = backing.removesuffix(DELETED)
        # In another container the same path is another file.
        is_ours = path.startswith(below) and (path != backing or is_backed_by(name, path))
        if is_ours and json.dumps(path) not in journals:
            strays.append((f"/dev/{name}", backing))
    return strays


def _read_journals(state: Path) -> str:
    texts = []
    for path in (state / "journals").glob("*.jsonl"):
        with suppress(FileNotFoundError):  # Its build has ended.
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
    return "".join(texts)


def release_stray_loops(state: Path) -> None:
    """Detach the stray loop devices."""
    for device, backing in find_stray_loops(state):
        log.note(f"detaching {device} from {backing}")
        run(["losetup", "--detach", device])
