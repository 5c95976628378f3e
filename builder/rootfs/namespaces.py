# SPDX-License-Identifier: MIT
"""Runs one command in namespaces of its own, so that whatever it mounts or starts ends with it.

A stand-alone script (it imports nothing of ours, so root can run it isolated: `python3 -I enter.py ... -- COMMAND`).
Always: a new mount and PID namespace with a fresh /proc, a small init, and no right to make device nodes, so that
every mode of emulation leaves the same empty /dev; and the same host name and umask wherever it runs, which packages
write into what they make. With --no-network: no network. With --register: a new user namespace too, with the caller's
ids unchanged, and in it a binfmt_misc instance of our own (Linux >= 6.7), where the given line is registered.
With --no-sync: what the command starts may ask for files to be written to the disk, and is answered at once.
With --rootfs and --chroot: the command runs in that tree, with /proc, /sys and /dev. With --twins as well: that tree is
bound read-only at --place in the rootfs, from before the command starts until after its last process is gone.

The processes: supervisor (leaves the caller's namespaces) - init (PID 1) - command. Each dies with its parent, and
the kernel then ends the namespace, its mounts and all that is in it. Exit code: the command's (128 + n for signal
n), or REFUSED when a step of our own failed; standard error then holds `refused: STEP: REASON`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import platform
import select
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

REFUSED = 125
HOST = b"localhost"
UMASK = 0o022

# linux/sched.h, linux/mount.h, linux/prctl.h, linux/capability.h
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x04000000, 0x10000000, 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP = 1, 24
CAP_MKNOD = 27

# linux/seccomp.h, linux/filter.h: a program of classic BPF, which sees architecture and number of each system call
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
BPF_LOAD, BPF_JUMP_IF_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
# linux/audit.h and asm/unistd.h: fsync, fdatasync, sync, syncfs, sync_file_range
SYNCS = {"x86_64": (0xC000003E, (74, 75, 162, 306, 277)), "aarch64": (0xC00000B7, (82, 83, 81, 267, 84))}

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}

libc = ctypes.CDLL(None, use_errno=True)


class RefusedError(Exception):
    """The machine does not allow a step of the preparation."""


def main() -> int:
    options = _parse(sys.argv[1:])
    caller = os.getppid()
    try:
        with _step("new namespaces"):
            _leave_namespaces(private=options.register is not None, network=not options.no_network)
        with _step("first process of the PID namespace"):
            watched, life = os.pipe()
            init = os.fork()
    except RefusedError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return REFUSED
    if init == 0:
        os.close(life)
        os._exit(_run_as_init(options, watched))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _die_with_parent()
    if os.getppid() != caller:
        os.kill(init, signal.SIGKILL)
    return _exit_code(os.waitpid(init, 0)[1])


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a command in namespaces of its own.")
    parser.add_argument("--register", metavar="LINE", help="for binfmt_misc, of a private instance")
    parser.add_argument("--rootfs", type=Path, metavar="DIR")
    parser.add_argument("--twins", type=Path, metavar="DIR", help="to be seen at --place in the rootfs")
    parser.add_argument("--qemu", type=Path, metavar="FILE", help="to be seen as `qemu` among the twins")
    parser.add_argument("--place", metavar="PATH", default="", help="relative to the rootfs")
    parser.add_argument("--no-sync", action="store_true", help="let nothing wait for the disk")
    parser.add_argument("--no-network", action="store_true", help="cut it off from the network")
    parser.add_argument("--chroot", action="store_true", help="run the command in the rootfs")
    parser.add_argument("--bind", nargs=2, action="append", default=[], metavar=("DIR", "PATH"), help="in the rootfs")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RefusedError(f"refused: {name}: {error.strerror or error}") from error


def _leave_namespaces(*, private: bool, network: bool) -> None:
    new = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | (0 if network else CLONE_NEWNET)
    if not private:
        _check(libc.unshare(new))
        return
    # A map of more than one's own id is only accepted from a process of the parent user namespace.
    supervisor = os.getpid()
    asked, ask = os.pipe()
    writer = os.fork()
    if writer == 0:
        os.close(ask)
        os._exit(_write_identity_maps(supervisor, asked))
    _check(libc.unshare(CLONE_NEWUSER | new))
    os.write(ask, b"now")
    code = _exit_code(os.waitpid(writer, 0)[1])
    if code:
        raise OSError(code, f"identity map of user ids: {os.strerror(code)}")


def _write_identity_maps(pid: int, asked: int) -> int:
    """Gives every id that exists here the same number there. Returns an errno, or 0."""
    _die_with_parent()
    if not os.read(asked, 1):
        return 1
    try:
        for name in ("uid_map", "gid_map"):
            ranges = [line.split() for line in Path("/proc/self", name).read_text().splitlines()]
            identity = "".join(f"{first} {first} {count}\n" for first, _, count in ranges)
            Path(f"/proc/{pid}", name).write_text(identity)
    except OSError as error:
        return error.errno or 1
    return 0


def _run_as_init(options: argparse.Namespace, watched: int) -> int:
    """What PID 1 does: prepare, start the command, reap, end the rest, clear away. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    if select.select([watched], [], [], 0)[0]:  # The supervisor, which alone holds the other end, was dead before that.
        return REFUSED
    try:
        _mount_all(options)
        command = os.fork()
        if command == 0:
            os._exit(_become(options.command, options.rootfs if options.chroot else None, syncs=not options.no_sync))
        code = _wait_for(command)
        _end_all_others()
        if options.twins:
            with _step("removal of the twins"):
                _remove_twins(options.rootfs / options.place)
    except RefusedError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return REFUSED
    return code


def _mount_all(options: argparse.Namespace) -> None:
    with _step("host name of one's own"):
        _check(libc.sethostname(HOST, len(HOST)))
    _mount_system(options.register)
    if options.twins:
        with _step("mount of the twins"):
            _mount_twins(options.twins, options.qemu, options.rootfs / options.place)
    if options.chroot:
        with _step("mounts in the rootfs"):
            _mount_rootfs(options.rootfs)
            for source, path in options.bind:
                _mount(source, str(options.rootfs / path), "", MS_BIND)


def _mount_system(register: str | None) -> None:
    with _step("mounts of one's own"):
        _mount("none", "/", "", MS_REC | MS_PRIVATE)
    with _step("fresh /proc"):
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if register is not None:
        with _step("private binfmt_misc (Linux 6.7 and later have it)"):
            _mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc")
        with _step("registration with binfmt_misc"):
            Path("/proc/sys/fs/binfmt_misc/register").write_bytes(register.encode())


def _mount_twins(twins: Path, qemu: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    _bind_read_only(twins, place)
    _bind_read_only(qemu, place / "qemu")


def _bind_read_only(source: Path, target: Path) -> None:
    _mount(str(source), str(target), "", MS_BIND)
    # Flags of the mount below are locked in a user namespace: they must be given again.
    locked = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _mount("none", str(target), "", MS_BIND | MS_REMOUNT | MS_RDONLY | locked)


def _remove_twins(place: Path) -> None:
    for mounted in (place / "qemu", place):
        _check(libc.umount2(os.fsencode(mounted), 0))
    place.rmdir()


def _mount_rootfs(rootfs: Path) -> None:
    _mount("proc", str(rootfs / "proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    # A new sysfs needs a network namespace of one's own; the network is needed.
    _mount("/sys", str(rootfs / "sys"), "", MS_BIND | MS_REC)
    dev = rootfs / "dev"
    _mount("dev", str(dev), "tmpfs", MS_NOSUID, "mode=755,size=1m")
    for name in DEVICES:
        (dev / name).touch()
        _mount(f"/dev/{name}", str(dev / name), "", MS_BIND)
    for name, target in DEVICE_LINKS.items():
        (dev / name).symlink_to(target)
    terminals = "newinstance,ptmxmode=666,mode=620,gid=5"
    for name, filesystem, options in (("pts", "devpts", terminals), ("shm", "tmpfs", "mode=1777")):
        (dev / name).mkdir()
        _mount(name, str(dev / name), filesystem, MS_NOSUID | MS_NOEXEC, options)


def _become(command: list[str], root: Path | None, *, syncs: bool) -> int:
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.umask(UMASK)
    try:
        _check(libc.prctl(PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0))
        if not syncs:
            with contextlib.suppress(OSError):  # A kernel without the filter only takes longer.
                _answer_syncs()
        if root:
            os.chroot(root)
            os.chdir("/")
        os.execvp(command[0], command)  # noqa: S606 - this script is what run.py starts
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126


def _answer_syncs() -> None:
    """Let calls that wait for the disk return at once, for this process and all that it starts.

    What is made here is of use only when it is complete, and is compared with its digest before each use.
    """
    audit, numbers = SYNCS.get(platform.machine(), (0, ()))
    found = len(numbers)
    rules = [
        (BPF_LOAD, 0, 0, 4),
        (BPF_JUMP_IF_EQUAL, 0, found + 1, audit),
        (BPF_LOAD, 0, 0, 0),
        *((BPF_JUMP_IF_EQUAL, found - place, 0, number) for place, number in enumerate(numbers)),
        (BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW),
        (BPF_RETURN, 0, 0, SECCOMP_RET_ERRNO),  # with the number 0, which is success
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(rules), ctypes.addressof(code)))
    _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0))


def _wait_for(command: int) -> int:
    """Reaps all that ends in the namespace until the command does."""
    while True:
        pid, status = os.wait()
        if pid == command:
            return _exit_code(status)


def _end_all_others() -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _die_with_parent() -> None:
    _check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def _mount(source: str, target: str, filesystem: str, flags: int = 0, data: str = "") -> None:
    texts = [os.fsencode(text) for text in (source, target, filesystem)]
    _check(libc.mount(*texts, ctypes.c_ulong(flags), os.fsencode(data) or None))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
