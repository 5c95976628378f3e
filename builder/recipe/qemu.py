# SPDX-License-Identifier: MIT
"""The part `qemu` of a recipe: how QEMU emulates a board."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from builder.recipe.values import Console, Cpu, FrozenModel, KernelWords, Machine, Size, TreePath


class Qemu(FrozenModel):
    """How QEMU starts the image."""

    machine: Machine
    """QEMU's machine type, for example virt or raspi3b."""
    cpu: Cpu = "max"
    """QEMU's CPU model, with properties if needed, for example cortex-a7,cntfrq=24000000."""
    cores: Annotated[int, Field(ge=1, le=64)] = 2
    """Number of processors; some machines have a fixed number."""
    thread: Literal["multi", "single"] = "multi"
    """multi: processors run in parallel; single: they take turns, for drivers that fail when one is delayed."""
    memory: Size = "2GiB"
    """Memory of the machine."""
    firmware: Literal["uefi", "card", "u-boot", "kernel"] = "uefi"
    """First program. uefi, card: the whole boot chain, by UEFI or by the machine's ROM, which reads the boot loader
    from the card; u-boot: `loader` of the image; kernel: the kernel of config.txt, from the image (raspi only)."""
    loader: TreePath | None = None
    """U-Boot for `firmware: u-boot`, a file of the image's root, e.g. usr/lib/u-boot/qemu_arm/u-boot.bin."""
    device_tree: TreePath | None = None
    """Device tree for the kernel, beside config.txt (`firmware: kernel` only); the machine's own if not set."""
    disk: Literal["virtio", "sd"] = "virtio"
    """Interface of the card."""
    network: Literal["virtio", "usb", "onboard"] = "virtio"
    """Interface of the network card; onboard: the machine has one."""
    cmdline: KernelWords = ""
    """Kernel parameters besides the image's own (`firmware: kernel` only), for hardware that QEMU lacks."""
    console: Console = "ttyAMA0"
    """Serial console of the system; its number is that of the machine's serial port."""

    @model_validator(mode="after")
    def _tree_for_a_kernel(self) -> Self:
        if self.device_tree and self.firmware != "kernel":
            raise ValueError(f"found `device_tree` with `firmware: {self.firmware}`; expected `firmware: kernel`")
        if self.cmdline and self.firmware != "kernel":
            raise ValueError(f"found `cmdline` with `firmware: {self.firmware}`; expected `firmware: kernel`")
        if (self.loader is None) == (self.firmware == "u-boot"):
            raise ValueError("found one of `firmware: u-boot` and `loader`; expected both or neither")
        return self
