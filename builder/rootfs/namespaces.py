# SPDX-License-Identifier: MIT
"""Run one command in new namespaces, so that all its mounts and processes end with it.

A stand-alone script without imports of ours, so root can run it isolated: `python3 -I namespaces.py ... -- COMMAND`.
Always: new mount and PID namespaces with a fresh /proc and a small init. Host name and umask are fixed, because
packages write them into files. Device nodes cannot be created, so all modes of emulation leave the same empty /dev.
--no-network: no network. --no-sync: calls such as fsync return at once. --register: also a new user namespace with
the caller's ids, and in it a private binfmt_misc instance (Linux >= 6.7), where the given line is registered.
--rootfs with --chroot: run in that tree, with /proc, /sys and /dev. --twins: bind that tree read-only at --place in
the rootfs, before the command starts, until its last process has ended.

Processes: supervisor (leaves the caller's namespaces) - init (PID 1) - command. Each dies with its parent. Then the
kernel removes the namespaces with their mounts and processes. Exit code: the command's (128 + n for signal n), or
REFUSED if the preparation failed; then stderr has `refused: STEP: REASON`.
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

# linux/seccomp.h, linux/filter.h: a classic BPF program, which reads architecture and number of each system call
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
    parser = argparse.ArgumentParser(description="Run a command in new namespaces.")
    parser.add_argument("--register", metavar="LINE", help="line to register in a private binfmt_misc instance")
    parser.add_argument("--rootfs", type=Path, metavar="DIR")
    parser.add_argument("--twins", type=Path, metavar="DIR", help="tree to mount at --place in the rootfs")
    parser.add_argument("--qemu", type=Path, metavar="FILE", help="file to mount as `qemu` among the twins")
    parser.add_argument("--place", metavar="PATH", default="", help="mount point of the twins, relative to the rootfs")
    parser.add_argument("--no-sync", action="store_true", help="let calls such as fsync return at once")
    parser.add_argument("--no-network", action="store_true", help="run the command without a network")
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
    # Only a process of the parent user namespace may write a map of more ids than its own (user_namespaces(7)).
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
        raise OSError(code, f"mapping of user ids: {os.strerror(code)}")


def _write_identity_maps(pid: int, asked: int) -> int:
    """Map every id of this user namespace to the same number in the new one. Return an errno, or 0."""
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
    """Be PID 1: prepare, start the command, reap, kill the rest, unmount the twins. Return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    if select.select([watched], [], [], 0)[0]:  # End of file: the supervisor has died before _die_with_parent().
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
    with _step("host name"):
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
    with _step("private mounts"):
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
    # In a user namespace these flags of the original mount are locked, so a remount must repeat them.
    locked = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _mount("none", str(target), "", MS_BIND | MS_REMOUNT | MS_RDONLY | locked)


def _remove_twins(place: Path) -> None:
    for mounted in (place / "qemu", place):
        _check(libc.umount2(os.fsencode(mounted), 0))
    place.rmdir()


def _mount_rootfs(rootfs: Path) -> None:
    _mount("proc", str(rootfs / "proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    # Bound, because a new sysfs needs a new network namespace, and commands may need the network.
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
            with contextlib.suppress(OSError):  # Without the filter the build is only slower.
                _answer_syncs()
        if root:
            os.chroot(root)
            os.chdir("/")
        os.execvp(command[0], command)  # noqa: S606 - process.py has started this script
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126


def _answer_syncs() -> None:
    """Let calls that wait for the disk return at once, for this process and its children.

    This is safe: a layer is used only when it is complete, and its digest is checked before each use.
    """
    audit, numbers = SYNCS.get(platform.machine(), (0, ()))
    count = len(numbers)
    rules = [
        (BPF_LOAD, 0, 0, 4),
        (BPF_JUMP_IF_EQUAL, 0, count + 1, audit),
        (BPF_LOAD, 0, 0, 0),
        *((BPF_JUMP_IF_EQUAL, count - index, 0, number) for index, number in enumerate(numbers)),
        (BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW),
        (BPF_RETURN, 0, 0, SECCOMP_RET_ERRNO),  # errno 0: success
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(rules), ctypes.addressof(code)))
    _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0))


def _wait_for(command: int) -> int:
    """Reap processes of the namespace until the command ends; return its exit code."""
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
