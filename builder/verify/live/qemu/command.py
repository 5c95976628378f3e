# SPDX-License-Identifier: MIT
"""Make QEMU's command line from a recipe. Each value of `qemu` in a recipe is a row of a table here."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from builder import quote
from builder.architecture import Architecture
from builder.errors import MachineError
from builder.plan.model import Plan
from builder.recipe.qemu import Qemu
from builder.units import load_size
from builder.verify.live.qemu.confine import confine
from builder.verify.live.qemu.kernel import take_boot_files, take_root_file

# What the system writes reaches this machine's page cache at once, where it outlives a killed QEMU; what it asks to
# be flushed is not waited for.
DISKS: Mapping[str, Callable[[Path], list[str]]] = {
    "virtio": lambda card: [
        *("-drive", f"file={quote.qemu(card)},if=none,id=disk,format=raw,cache=unsafe,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
    ],
    "sd": lambda card: ["-drive", f"file={quote.qemu(card)},if=sd,format=raw,cache=unsafe"],
}
NETWORKS: Mapping[str, Callable[[str], list[str]]] = {
    # Function from the port forwarding for ssh to the options.
    "virtio": lambda forward: [*_router(forward), "-device", "virtio-net-pci,netdev=net,romfile="],
    # Linux names a USB adapter eth0 only if its MAC is of a vendor; this one is of the Raspberry Pi Foundation.
    "usb": lambda forward: [*_router(forward), "-device", "usb-net,netdev=net,mac=b8:27:eb:00:00:01"],
    "onboard": lambda forward: ["-nic", f"user,{forward}"],
}
LOOPBACK = "127.0.0.1"


def make_command(
    plan: Plan,
    card: Path,
    *,
    work: Path,
    console: Path,
    ssh_port: int,
    interactive: bool = False,
) -> list[str]:
    """Return the command line of QEMU for a card; MachineError if the recipe has no `qemu`.

    ssh_port     port of the loopback interface that is forwarded to the system's port 22
    interactive  connect serial console and QEMU's monitor (Ctrl-a c) to the terminal, and log them
    """
    qemu, architecture = plan.recipe.qemu, plan.recipe.architecture
    if qemu is None:
        raise MachineError(
            f"board {plan.board} has no `qemu` in its recipe, so QEMU cannot boot it", hint="boot it on the real board"
        )
    return [
        architecture.row.qemu_system,
        *confine(architecture.row.qemu_system),
        *_machine(architecture, qemu),
        *FIRMWARE[qemu.firmware](plan, qemu, card, work),
        *DISKS[qemu.disk](card),
        *NETWORKS[qemu.network](f"hostfwd=tcp:{LOOPBACK}:{ssh_port}-:22"),
        *_console(qemu, console, interactive=interactive),
        *("-display", "none"),
    ]


def _machine(architecture: Architecture, qemu: Qemu) -> list[str]:
    fast = _want_kvm(architecture)
    return [
        *("-machine", qemu.machine, "-accel", "kvm" if fast else f"tcg,thread={qemu.thread}"),
        *("-cpu", "host" if fast else qemu.cpu),
        *("-smp", str(qemu.cores), "-m", str(load_size(qemu.memory) // 1024**2)),
    ]


def _want_kvm(architecture: Architecture) -> bool:
    """Return whether to use KVM: on a real machine of the same architecture.

    In a virtual machine, a nested /dev/kvm may fail at the first instructions of the firmware ("KVM internal error",
    seen on Firecracker). So there it is used only with BOARDWRIGHT_ACCEL=kvm.
    """
    wanted = os.environ.get("BOARDWRIGHT_ACCEL")
    if wanted:
        return wanted == "kvm"
    same = os.uname().machine == architecture.row.uname
    nested = " hypervisor" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return same and not nested and os.access("/dev/kvm", os.R_OK | os.W_OK)


def _uefi(plan: Plan, _: Qemu, __: Path, work: Path) -> list[str]:
    architecture = plan.recipe.architecture
    firmware = find_uefi(architecture)
    if firmware is None:
        packages = " ".join(item.row.uefi_package for item in Architecture if item.row.uefi_package)
        raise MachineError(f"no UEFI firmware for {architecture} on this machine", hint=f"apt-get install {packages}")
    code, variables = firmware
    copy = work / "uefi-variables.fd"
    shutil.copyfile(variables, copy)
    return [
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={quote.qemu(copy)}"),
    ]


def find_uefi(architecture: Architecture) -> tuple[str, str] | None:
    """Return the files of UEFI's code and variables for an architecture; None where this machine has none."""
    return next((pair for pair in architecture.row.uefi if all(Path(file).is_file() for file in pair)), None)


def _kernel(plan: Plan, qemu: Qemu, card: Path, work: Path) -> list[str]:
    files = take_boot_files(card, plan, work)
    cmdline = f"{files.cmdline} {qemu.cmdline}".strip()
    if f"console={qemu.console}" not in re.split(r"[ ,]", cmdline):
        # It comes first: of two names for one driver Linux tries only the first, even if that port does not exist.
        cmdline = f"console={qemu.console} {cmdline}"
    tree = ["-dtb", str(files.device_tree)] if files.device_tree else []
    return ["-kernel", str(files.kernel), "-initrd", str(files.initrd), *tree, "-append", cmdline]


def _loader(plan: Plan, qemu: Qemu, card: Path, work: Path) -> list[str]:
    loader = take_root_file(card, plan, str(qemu.loader), work)
    return [plan.recipe.architecture.row.u_boot, str(loader)]


FIRMWARE: Mapping[str, Callable[[Plan, Qemu, Path, Path], list[str]]] = {
    "uefi": _uefi,
    "card": lambda *_: [],
    "u-boot": _loader,
    "kernel": _kernel,
}


def _console(qemu: Qemu, log: Path, *, interactive: bool) -> list[str]:
    """Return the options of the console. Its number is that of a serial port; the ports before it are not connected."""
    number = int(re.sub(r"\D", "", qemu.console) or 0)
    nowhere = ["-serial", "null"] * number
    if interactive:
        chardev = f"stdio,id=console,mux=on,signal=off,logfile={quote.qemu(log)}"
        return ["-chardev", chardev, *nowhere, "-serial", "chardev:console", "-mon", "chardev=console"]
    chardev = f"file,id=console,path={quote.qemu(log)},append=on"
    return ["-chardev", chardev, *nowhere, "-serial", "chardev:console", "-monitor", "none"]


def _router(forward: str) -> list[str]:
    return ["-netdev", f"user,id=net,{forward}"]
