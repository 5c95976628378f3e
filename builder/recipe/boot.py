# SPDX-License-Identifier: MIT
"""How a board finds its kernel."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from builder.recipe.values import Address, FileName, Frozen, KernelWords, Lines, TreePath, Word


class Script(Frozen):
    """A script for U-Boot, and the kernel in the form that this U-Boot takes. Both lie on the boot partition."""

    file: FileName
    """Its name, for example boot.ini."""
    text: Lines
    """Its lines; {cmdline}, {kernel}, {initrd} and {device_tree} stand for the command line and the files' names."""
    kernel_address: Address | None = None
    """Where a uImage is unpacked to: kernel and initrd get U-Boot's own header. Without, they are plain files."""


class Boot(Frozen):
    """How the board finds its kernel. The files are written by a program of the image, which also runs when the
    kernel is upgraded on the board."""

    method: Literal["raspi", "efi", "extlinux", "flash-kernel", "none"]
    """raspi: config.txt and cmdline.txt; efi: systemd-boot on the ESP; extlinux: extlinux.conf for U-Boot;
    flash-kernel: a script for older U-Boots; none: what starts the kernel is not in the image."""
    cmdline: dict[Word, KernelWords]
    """Kernel parameters in named groups, joined in order; `root=` is added by the builder."""
    config: dict[Word, Lines] = {}
    """Lines of config.txt in named groups (raspi only)."""
    device_tree: TreePath | None = None
    """Device tree of the board below the kernel's directory (extlinux, where U-Boot chooses without; flash-kernel)."""
    script: Script | None = None
    """What the board's U-Boot runs (flash-kernel only)."""

    @model_validator(mode="after")
    def _config_is_for_raspi(self) -> Self:
        if self.config and self.method != "raspi":
            raise ValueError(f"`config` holds lines of config.txt, which boot method {self.method} does not have")
        if self.device_tree and self.method not in ("extlinux", "flash-kernel"):
            raise ValueError("`device_tree` is read with boot method extlinux and flash-kernel only")
        if (self.script is None) == (self.method == "flash-kernel"):
            raise ValueError("`method: flash-kernel` and `script` go together")
        if self.script and not self.device_tree:
            raise ValueError("`method: flash-kernel` needs a `device_tree`, which it puts beside the kernel")
        return self
