# SPDX-License-Identifier: MIT
"""Run programs of the target's architecture on this machine, in namespaces of their own.

There are three modes. NATIVE: the machine runs them itself. QEMU: qemu-user runs all of them, about twelve times
slower. REDIRECT: a program with a native twin (twins.py) runs as that twin, and qemu-user runs the others. The result
is the same tree, in about a tenth of the time.

QEMU and REDIRECT register their interpreter in a private binfmt_misc instance (namespaces.py), which needs Linux 6.7
and a machine that allows it. Otherwise only QEMU works, with the handler that is registered on the machine. The
machine's own table is never changed. This module holds no resources: the commands from command() free theirs at exit.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from builder.architecture import Architecture, find_architecture
from builder.choices import EmulationChoice
from builder.errors import MachineError
from builder.log import note, step, warn
from builder.rootfs import namespaces, twins
from builder.rootfs.apt.pairs import Sources
from builder.system.checksums import sha256_file
from builder.system.locks import locked
from builder.system.process import run

__all__ = ["Emulation", "Mode", "Sources", "choose", "command", "mmdebstrap_options", "prepare"]

# Any OS ABI; e_type 2 (fixed address) or 3 (position-independent).
MASK = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"

BINFMT = Path("/proc/sys/fs/binfmt_misc")
HELPER = Path("/usr/local/libexec/boardwright/redirect")
HELPER_SOURCE = Path(__file__).with_name("redirect.c")


class Mode(StrEnum):
    NATIVE = "native"
    REDIRECT = "redirect"
    QEMU = "qemu"


@dataclass(frozen=True)
class Emulation:
    """A way to run programs of an architecture. REDIRECT is complete only after prepare()."""

    mode: Mode
    architecture: str
    reason: str
    qemu: Path | None = None
    private: bool = False  # a binfmt_misc instance of our own, in a user namespace
    helper: Path | None = None
    twins: Path | None = None


def choose(*, architecture: str, wanted: EmulationChoice = EmulationChoice.AUTO) -> Emulation:
    """Choose a mode; `wanted` is auto, redirect or qemu.

    auto takes the fastest mode that works, and warns about a slow one. Raises MachineError if this machine cannot run
    the architecture, or not in the wanted mode.
    """
    native = _read_native_architecture()
    if architecture == native:
        return Emulation(Mode.NATIVE, architecture, f"this machine is {native} itself")
    qemu = find_qemu(architecture)
    plain = Emulation(Mode.QEMU, architecture, "asked for", qemu, private=True)
    refusal = _find_refusal(plain)
    if refusal:
        _check_handler(architecture, refusal)
        plain = replace(plain, private=False)
    if wanted is EmulationChoice.QEMU:
        return plain
    obstacle = refusal or _find_missing_tool(native)
    if not obstacle:
        return replace(plain, mode=Mode.REDIRECT, reason="a private binfmt_misc instance works here")
    if wanted is EmulationChoice.REDIRECT:
        raise MachineError(
            f"--emulation redirect does not work for {architecture}: {obstacle}",
            hint="--emulation auto builds with qemu-user instead, about twelve times slower",
        )
    warn(f"{architecture} programs run with qemu-user, about twelve times slower: {obstacle}")
    return replace(plain, reason=obstacle)


def prepare(emulation: Emulation, sources: Sources, *, cache: Path) -> Emulation:
    """Create the helper and the twin tree of REDIRECT, both kept in the cache; other modes need nothing."""
    if emulation.mode is not Mode.REDIRECT:
        return emulation
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    native = Architecture(_read_native_architecture())
    # Two builds would make the same tree in the same place.
    with step(f"native twins of {emulation.architecture} programs"), locked(cache / "lock"):
        tree = twins.make(sources, native=native, foreign=Architecture(emulation.architecture), cache=cache)
    if tree is None:
        reason = f"{sources.suite} has no package in the same version for {native}"
        warn(f"{emulation.architecture} programs run by qemu-user, which is about twelve times slower: {reason}")
        return replace(emulation, mode=Mode.QEMU, reason=reason)
    note(f"twins: {tree}")
    return replace(emulation, helper=_make_helper(cache), twins=tree)


def command(
    emulation: Emulation,
    argv: Sequence[str | Path],
    *,
    rootfs: Path,
    chroot: bool = False,
    binds: Mapping[str, Path] = MappingProxyType({}),
    syncs: bool = True,
    network: bool = True,
) -> list[str]:
    """Return the argv that runs `argv` in namespaces where programs of `rootfs` can run.

    All mounts and processes of the command end with it. The rootfs may be empty or missing (mmdebstrap's target).
    Exit code: that of argv, or namespaces.REFUSED.

    chroot   run inside the rootfs, with /proc, /sys and /dev
    binds    directories to mount in the rootfs, by mount point
    syncs    if false, calls such as fsync return at once
    network  if false, the command has no network
    """
    options = [f"--rootfs={rootfs}", *(["--chroot"] if chroot else [])]
    if not syncs:
        options.append("--no-sync")
    if not network:
        options.append("--no-network")
    for mount, source in sorted(binds.items()):  # Outer mount points first.
        options += ["--bind", str(source), mount.lstrip("/")]
    if emulation.private:
        options.append(f"--register={_render_registration(emulation)}")
    if emulation.twins:
        options += [f"--twins={emulation.twins}", f"--place={twins.PLACE}", f"--qemu={emulation.qemu}"]
    # -I: it runs as root, so it must not import modules from the caller's working directory.
    return [sys.executable, "-I", str(Path(namespaces.__file__)), *options, "--", *map(str, argv)]


def mmdebstrap_options(emulation: Emulation) -> list[str]:
    """Return the options of mmdebstrap when command() runs it."""
    foreign = ["--skip=check/qemu"] if emulation.mode is not Mode.NATIVE else []
    # The target contains the mount point of the twins before mmdebstrap starts.
    occupied = ["--skip=check/empty"] if emulation.twins else []
    return ["--mode=root", f"--architectures={emulation.architecture}", *foreign, *occupied]


def _read_native_architecture() -> str:
    return run(["dpkg", "--print-architecture"]).stdout.strip()


def find_qemu(architecture: str) -> Path:
    """Only a static build runs inside a rootfs; Debian has called it qemu-CPU since version 9.1."""
    known = find_architecture(architecture)
    if known is None:
        raise MachineError(f"architecture: found '{architecture}'; expected one of {', '.join(Architecture)}")
    cpu = known.row.qemu
    for name in (f"qemu-{cpu}-static", f"qemu-{cpu}"):
        program = shutil.which(name)
        if program and _is_static(Path(program)):
            return Path(program).resolve()
    raise MachineError(
        f"no static qemu-user for {architecture} on this machine",
        hint="install it: apt-get install qemu-user-static (Debian 12) or qemu-user (Debian 13)",
    )


def _is_static(program: Path) -> bool:
    answer = run(["ldd", program], ok=(0, 1))
    return answer.code == 1 or "statically linked" in answer.stdout


def _find_refusal(emulation: Emulation) -> str:
    """Try to use a private binfmt_misc instance. Return why it is refused, or ""."""
    probe = run(command(emulation, ["true"], rootfs=Path("/")), ok=(0, namespaces.REFUSED))
    return probe.stderr.strip() if probe.code else ""


def _check_handler(architecture: str, refusal: str) -> None:
    """Raise MachineError unless the machine has a handler with the flag F.

    Without that flag the kernel looks for qemu inside the rootfs.
    """
    entries = [entry.read_text() for entry in BINFMT.glob("*") if entry.name not in ("register", "status")]
    magic = f"\nmagic {_make_magic(architecture).hex()}\n"
    usable = [text for text in entries if magic in text and re.match(r"enabled\n(.*\n)*flags: \w*F", text)]
    if not usable:
        raise MachineError(
            f"{architecture} programs cannot run here: {refusal}; and binfmt_misc has no handler with the flag F",
            hint="use Linux 6.7 or later (in a container with systempaths=unconfined), or install qemu-user-binfmt",
        )


def _find_missing_tool(native: str) -> str:
    """Returns what keeps this machine from making twins, or nothing."""
    known = find_architecture(native)
    if known is None or not known.row.loader:
        return f"there are no twins for {native}"
    tools = ["apt-get", "dpkg-deb", *([] if HELPER.exists() else ["gcc"])]
    missing = [tool for tool in tools if not shutil.which(tool)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _make_helper(cache: Path) -> Path:
    """Return the binfmt_misc interpreter: that of the builder image, or one compiled here."""
    if HELPER.exists():
        return HELPER
    helper = cache / f"redirect-{sha256_file(HELPER_SOURCE)[:16]}"
    if not helper.exists():
        run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-o", helper, HELPER_SOURCE])
    return helper


def _render_registration(emulation: Emulation) -> str:
    """Return the line for binfmt_misc (Linux, Documentation/admin-guide/binfmt-misc.rst).

    P passes the caller's argv[0] on. F opens the interpreter at registration, so a chroot does not need it.
    """
    magic = "".join(f"\\x{byte:02x}" for byte in _make_magic(emulation.architecture))
    mask = "".join(f"\\x{byte:02x}" for byte in MASK)
    return f":boardwright:M::{magic}:{mask}:{emulation.helper or emulation.qemu}:PF"


def _make_magic(architecture: str) -> bytes:
    """The first bytes of a little-endian ELF program (elf.h): class, order, version, ABI, padding, type, machine."""
    row = Architecture(architecture).row
    return b"\x7fELF" + bytes([row.elf_class, 1, 1]) + bytes(9) + b"\x02\x00" + row.elf_machine.to_bytes(2, "little")
