# SPDX-License-Identifier: MIT
"""The part `boot` of a recipe: how a board finds its kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from builder.recipe.phrases import join_options
from builder.recipe.values import Address, FileName, FrozenModel, KernelWords, Lines, TreePath, Word
from builder.rows import RowEnum


class Script(FrozenModel):
    """A script for U-Boot and the form of the kernel that this U-Boot needs. Both are on the boot partition."""

    file: FileName
    """File name of the script, for example boot.ini."""
    text: Lines
    """Lines of the script; {cmdline}, {kernel}, {initrd}, {device_tree} become the command line and the file names."""
    kernel_address: Address | None = None
    """Load address of a uImage: kernel and initrd then get U-Boot's header. Without it, they are plain files."""


@dataclass(frozen=True)
class BootRow:
    """What a recipe with a boot method must and may have."""

    title: str
    """What the boot loader reads, for the reference of recipes."""
    needs_esp: bool = False
    """A fat32 partition with the flag esp is required."""
    needs_firmware: bool = False
    """A fat32 partition mounted at /boot/firmware is required."""
    allowed: tuple[str, ...] = ()
    """Keys of `boot` that only some methods have."""
    required: tuple[str, ...] = ()
    """Those of them that this method needs."""
    names_kernel: bool = False
    """True if QEMU can start the kernel without the boot chain (`qemu.firmware: kernel`).

    verify/live/qemu/kernel.py then reads config.txt."""


class BootMethod(RowEnum):
    """Boot methods. Each has a module in builder/boot_methods/."""

    row: BootRow

    RASPI = (
        "raspi",
        BootRow("config.txt and cmdline.txt", needs_firmware=True, allowed=("config",), names_kernel=True),
    )
    EFI = ("efi", BootRow("systemd-boot on the ESP", needs_esp=True))
    EXTLINUX = ("extlinux", BootRow("extlinux.conf for U-Boot", allowed=("device_tree",)))
    FLASH_KERNEL = (
        "flash-kernel",
        BootRow(
            "a script for older U-Boots",
            needs_firmware=True,
            allowed=("device_tree", "script"),
            required=("device_tree", "script"),
        ),
    )
    NONE = ("none", BootRow("the boot loader is not in the image", needs_firmware=True))


METHODS_OF = {
    key: join_options(method for method in BootMethod if key in method.row.allowed)
    for key in dict.fromkeys(key for method in BootMethod for key in method.row.allowed)
}
"""Keys of `boot` that only some methods have, each with these methods."""


class Boot(FrozenModel):
    """How the board finds its kernel. A program of the image writes the files; it also runs when the kernel is
    upgraded on the board."""

    method: BootMethod = Field(description="; ".join(f"{item}: {item.row.title}" for item in BootMethod) + ".")
    cmdline: dict[Word, KernelWords]
    """Kernel parameters in named groups, joined in order; the build adds `root=`."""
    config: dict[Word, Lines] = Field(
        {}, description=f"Lines of config.txt in named groups ({METHODS_OF['config']} only)."
    )
    device_tree: TreePath | None = None
    """Device tree, below the kernel's directory of them (flash-kernel; extlinux, where U-Boot else chooses one)."""
    script: Script | None = Field(
        None, description=f"The script that the board's U-Boot runs ({METHODS_OF['script']} only)."
    )

    @model_validator(mode="after")
    def _keys_are_those_of_the_method(self) -> Self:
        row = self.method.row
        for key, methods in METHODS_OF.items():
            is_there = bool(getattr(self, key))
            if is_there and key not in row.allowed:
                raise ValueError(f"found `{key}` with `method: {self.method}`; expected it with {methods} only")
            if not is_there and key in row.required:
                raise ValueError(f"found no `{key}`; expected one with `method: {self.method}`")
        return self
