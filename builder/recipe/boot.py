# SPDX-License-Identifier: MIT
"""The part `boot` of a recipe: how a board finds its kernel."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from builder.recipe.values import Address, FileName, FrozenModel, KernelWords, Lines, TreePath, Word


class Script(FrozenModel):
    """A script for U-Boot and the form of the kernel that this U-Boot needs. Both are on the boot partition."""

    file: FileName
    """File name of the script, for example boot.ini."""
    text: Lines
    """Lines of the script; {cmdline}, {kernel}, {initrd}, {device_tree} become the command line and the file names."""
    kernel_address: Address | None = None
    """Load address of a uImage: kernel and initrd then get U-Boot's header. Without it, they are plain files."""


class Boot(FrozenModel):
    """How the board finds its kernel. A program of the image writes the files; it also runs when the kernel is
    upgraded on the board."""

    method: Literal["raspi", "efi", "extlinux", "flash-kernel", "none"]
    """raspi: config.txt and cmdline.txt; efi: systemd-boot on the ESP; extlinux: extlinux.conf for U-Boot;
    flash-kernel: a script for older U-Boots; none: the boot loader is not in the image."""
    cmdline: dict[Word, KernelWords]
    """Kernel parameters in named groups, joined in order; the build adds `root=`."""
    config: dict[Word, Lines] = {}
    """Lines of config.txt in named groups (raspi only)."""
    device_tree: TreePath | None = None
    """Device tree, below the kernel's directory of them (flash-kernel; extlinux, where U-Boot else chooses one)."""
    script: Script | None = None
    """The script that the board's U-Boot runs (flash-kernel only)."""

    @model_validator(mode="after")
    def _config_is_for_raspi(self) -> Self:
        if self.config and self.method != "raspi":
            raise ValueError(f"found `config` with `method: {self.method}`; expected it with `method: raspi` only")
        if self.device_tree and self.method not in ("extlinux", "flash-kernel"):
            raise ValueError(
                f"found `device_tree` with `method: {self.method}`; expected it with extlinux or flash-kernel only"
            )
        if (self.script is None) == (self.method == "flash-kernel"):
            raise ValueError("found one of `method: flash-kernel` and `script`; expected both or neither")
        if self.script and not self.device_tree:
            raise ValueError("found no `device_tree`; expected one with `method: flash-kernel`")
        return self
