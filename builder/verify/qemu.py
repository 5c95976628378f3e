# SPDX-License-Identifier: MIT
"""An image started in QEMU, as its recipe says.

The image under test is never changed: QEMU writes to an overlay that goes away. The machine has one network card
behind QEMU's own router, and port 22 of the system is reached at a free port of the loopback interface.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.errors import MachineError, VerifyError
from builder.recipe.model import Architecture, Qemu, Recipe
from builder.run import run, running
from builder.units import load_size

PROGRAMS = {
    Architecture.AMD64: "qemu-system-x86_64",
    Architecture.ARM64: "qemu-system-aarch64",
    Architecture.ARMHF: "qemu-system-arm",
    Architecture.ARMEL: "qemu-system-arm",
    Architecture.RISCV64: "qemu-system-riscv64",
}

UEFI = {
    # code and variables, of Debian's ovmf and qemu-efi-aarch64; the larger 4 MiB builds where both exist
    Architecture.AMD64: (
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ),
    Architecture.ARM64: (
        ("/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
        ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ),
}
CONSOLE_TAIL = 25


@dataclass(frozen=True)
class Machine:
    """A running machine."""

    process: subprocess.Popen[bytes]
    console: Path
    """Everything it said on its serial console."""
    ssh_port: int

    def tail(self) -> str:
        """Return the last lines of the console."""
        text = self.console.read_text(encoding="utf-8", errors="replace") if self.console.exists() else ""
        return "\n".join(text.splitlines()[-CONSOLE_TAIL:])


@contextmanager
def started(recipe: Recipe, image: Path, *, work: Path) -> Iterator[Machine]:
    """Start an image and yield the machine; it is gone at the end, and so are its files in `work`.

    Raises MachineError when the recipe has no `qemu`, or this machine no QEMU or no firmware for it.
    """
    if recipe.qemu is None:
        raise MachineError("the recipe has no `qemu`: this board cannot be booted here", hint="boot it on the board")
    work.mkdir(parents=True, exist_ok=True)
    console = work / "console.log"
    port = _free_port()
    overlay = work / "disk.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image.resolve(), "-F", "raw", overlay, "16G"])
    argv = [
        PROGRAMS[recipe.architecture],
        *_machine(recipe.architecture, recipe.qemu),
        *_firmware(recipe.architecture, work),
        *("-drive", f"file={overlay},if=none,id=disk,format=qcow2", "-device", "virtio-blk-pci,drive=disk"),
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
        *("-display", "none", "-monitor", "none", "-serial", f"file:{console}"),
    ]
    with running(argv, output=work / "qemu.log") as process:
        yield Machine(process, console, port)


def wait_until_over(machine: Machine, *, timeout_s: float) -> None:
    """Wait until the machine has switched itself off; VerifyError with the end of its console otherwise."""
    try:
        machine.process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise VerifyError(f"still running after {timeout_s:.0f} s; its console:\n{machine.tail()}") from None


def wait_for_port(machine: Machine, *, timeout_s: float) -> None:
    """Wait until the system answers at its ssh port; VerifyError with the end of its console otherwise."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if machine.process.poll() is not None:
            raise VerifyError(f"QEMU ended with code {machine.process.returncode}; the console:\n{machine.tail()}")
        if _greets(machine.ssh_port):
            return
    raise VerifyError(f"no ssh after {timeout_s:.0f} s; the console:\n{machine.tail()}")


def _greets(port: int) -> bool:
    """QEMU accepts connections before the system does; only sshd's greeting says that it is up."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        time.sleep(0.5)
        return False


def _machine(architecture: Architecture, qemu: Qemu) -> list[str]:
    fast = _want_kvm(architecture)
    return [
        *("-machine", f"{qemu.machine},accel={'kvm' if fast else 'tcg'}"),
        *("-cpu", "host" if fast else qemu.cpu),
        *("-smp", "2", "-m", str(load_size(qemu.memory) // 1024**2)),
    ]


def _want_kvm(architecture: Architecture) -> bool:
    """KVM where the machine is of that architecture and real.

    A virtual machine's nested /dev/kvm may be there and yet stop at the first instructions of the firmware ("KVM
    internal error", seen on Firecracker), so it is used only where BOARDWRIGHT_ACCEL=kvm says that it works.
    """
    wanted = os.environ.get("BOARDWRIGHT_ACCEL")
    if wanted:
        return wanted == "kvm"
    same = {"x86_64": Architecture.AMD64, "aarch64": Architecture.ARM64}.get(os.uname().machine) is architecture
    nested = " hypervisor" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return same and not nested and os.access("/dev/kvm", os.R_OK | os.W_OK)


def _firmware(architecture: Architecture, work: Path) -> list[str]:
    for code, variables in UEFI.get(architecture, ()):
        if Path(code).is_file() and Path(variables).is_file():
            own = work / "uefi-variables.fd"
            shutil.copyfile(variables, own)
            return [
                *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"),
                *("-drive", f"if=pflash,format=raw,unit=1,file={own}"),
            ]
    raise MachineError(
        f"no UEFI firmware for {architecture} on this machine", hint="apt-get install ovmf qemu-efi-aarch64"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
