# SPDX-License-Identifier: MIT
"""How QEMU stands in for a board."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from builder.recipe.values import Console, Cpu, Frozen, KernelWords, Machine, Size, TreePath


class Qemu(Frozen):
    """How QEMU starts the image."""

    machine: Machine
    """QEMU's machine type, for example virt or raspi3b."""
    cpu: Cpu = "max"
    """QEMU's CPU model, with properties where it needs some: cortex-a7,cntfrq=24000000."""
    cores: Annotated[int, Field(ge=1, le=64)] = 2
    """Processors; some machines have a fixed number."""
    thread: Literal["multi", "single"] = "multi"
    """Whether emulated processors run at once or take turns: for drivers that cannot bear one that is held up."""
    memory: Size = "2GiB"
    """Memory of the machine."""
    firmware: Literal["uefi", "card", "u-boot", "kernel"] = "uefi"
    """What starts. uefi, card: the whole boot chain, by UEFI or by the machine's own ROM, which reads the boot loader
    from the card; u-boot: `loader` of the image; kernel: what config.txt names, taken out of the image (raspi only)."""
    loader: TreePath | None = None
    """File of the image's root that starts with `firmware: u-boot`, e.g. usr/lib/u-boot/qemu_arm/u-boot.bin."""
    device_tree: TreePath | None = None
    """Device tree beside config.txt that the kernel gets (`firmware: kernel` only); the machine's own without."""
    disk: Literal["virtio", "sd"] = "virtio"
    """How the card is attached."""
    network: Literal["virtio", "usb", "onboard"] = "virtio"
    """How the network card is attached; onboard: the machine has one."""
    cmdline: KernelWords = ""
    """Words that the kernel gets besides the image's own (`firmware: kernel` only), for hardware that QEMU lacks."""
    console: Console = "ttyAMA0"
    """Serial console the system uses; its number is that of the machine's serial port."""

    @model_validator(mode="after")
    def _tree_for_a_kernel(self) -> Self:
        if self.device_tree and self.firmware != "kernel":
            raise ValueError("`device_tree` is read with `firmware: kernel` only")
        if self.cmdline and self.firmware != "kernel":
            raise ValueError("`cmdline` is read with `firmware: kernel` only")
        if (self.loader is None) == (self.firmware == "u-boot"):
            raise ValueError("`firmware: u-boot` and `loader` go together")
        return self
