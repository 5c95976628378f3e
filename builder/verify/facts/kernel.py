# SPDX-License-Identifier: MIT
"""Kernels of a tree: versions, configuration, modules, initrds."""

from __future__ import annotations

import lzma
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from itertools import islice

from builder.disk.filetree import FileTree
from builder.disk.initrd import Initrd, read_initrd
from builder.errors import VerifyError
from builder.units import MIB

BOOT_INITRD = "/boot/initrd.img-"
XZ_MAGIC = b"\xfd7zXZ\0"
MOST_MAGICS = 20
LARGEST_KERNEL = 128 * MIB
"""Limit for an unpacked kernel; the rest is ignored. Debian's kernels have a quarter of it."""
XZ_MEMORY = 256 * MIB
MOST_OF_INITRDS = 768 * MIB
"""Limit for the unpacked initrds of all kernels together."""


def module_name(path: str) -> str:
    """Return the name of a module from its path: "kernel/drivers/usb/usb-storage.ko.xz" is usb_storage."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def unpack_kernel(content: bytes) -> bytes:
    """Return a kernel, followed by its unpacked xz part if it has one, like a 32-bit Arm zImage."""
    for magic in islice(re.finditer(re.escape(XZ_MAGIC), content), MOST_MAGICS):
        with suppress(lzma.LZMAError):  # The code that unpacks the kernel has the six bytes too.
            stream = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
            return content + stream.decompress(content[magic.start() :], LARGEST_KERNEL)
    return content


class Kernels:
    """Properties of an image's kernels; base class of Subject."""

    tree: FileTree
    started_kernel: bytes
    """Content of the kernel file that the boot loader reads."""

    @cached_property
    def kernels(self) -> list[str]:
        """Versions of the kernels in /boot."""
        return sorted(path.partition("-")[2] for path in self.kernel_files)

    @cached_property
    def kernel_files(self) -> list[str]:
        """Kernels in /boot, by path: Debian's are vmlinuz-VERSION, on riscv64 vmlinux-VERSION."""
        return [entry.path for entry in self.tree.glob("/boot/vmlinu[xz]-*")]

    @cached_property
    def kernel(self) -> str:
        """Version of the kernel that starts: of several, the one that the boot loader reads, else the last."""
        if not self.kernels:
            raise AssertionError("/boot has no kernel")
        if len(self.kernels) == 1:
            return self.kernels[0]
        started = self.started_kernel
        equal = [path for path in self.kernel_files if self.tree.file(path).content == started]
        return equal[0].partition("-")[2] if equal else self.kernels[-1]

    @property
    def kernel_file(self) -> str:
        """Path of the kernel that starts."""
        return next(path for path in self.kernel_files if path.endswith(f"-{self.kernel}"))

    @property
    def kernel_origins(self) -> list[str]:
        """Paths where a package may install the kernel that starts: in /boot or, for newer ones, beside its modules."""
        return [self.kernel_file, f"/usr/lib/modules/{self.kernel}/vmlinuz"]

    @cached_property
    def device_trees(self) -> Mapping[str, str]:
        """Device trees of the kernel that starts: path by file name."""
        tops = (f"/usr/lib/linux-image-{self.kernel}", f"/usr/lib/modules/{self.kernel}/dtb")
        entries = [entry for top in tops for entry in self.tree.below(top) if entry.path.endswith(".dtb")]
        return {entry.path.rpartition("/")[2]: entry.path for entry in entries}

    @cached_property
    def kernel_text(self) -> bytes:
        """The kernel that starts, unpacked."""
        return unpack_kernel(self.tree.file(self.kernel_file).content)

    @cached_property
    def kernel_options(self) -> Mapping[str, str]:
        """The kernel's configuration: y, m or a value by option, without CONFIG_."""
        text = self.tree.file(f"/boot/config-{self.kernel}").content_string
        return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.MULTILINE))

    @cached_property
    def modules(self) -> Mapping[str, str]:
        """Paths of the modules that modprobe knows (modules.dep), by name."""
        top = f"/usr/lib/modules/{self.kernel}"
        paths = [line.partition(":")[0] for line in self.tree.file(f"{top}/modules.dep").lines]
        return {module_name(path): f"{top}/{path}" for path in paths}

    @cached_property
    def builtin_modules(self) -> frozenset[str]:
        """Names of the modules that are part of the kernel."""
        lines = self.tree.file(f"/usr/lib/modules/{self.kernel}/modules.builtin").lines
        return frozenset(module_name(line) for line in lines)

    def has_module(self, name: str) -> bool:
        """Return whether the kernel has a module, as a file or built in."""
        return name in self.builtin_modules or self.tree.find(self.modules.get(name, "/?")) is not None

    @cached_property
    def initrds(self) -> Mapping[str, Initrd]:
        """Members of the initrds in /boot, by path of the initrd."""
        initrds: dict[str, Initrd] = {}
        left = MOST_OF_INITRDS
        for entry in self.tree.glob(f"{BOOT_INITRD}*"):
            initrds[entry.path] = read_initrd(entry.read())
            left -= sum(member.view.nbytes for member in initrds[entry.path].values())
            if left < 0:
                raise VerifyError(f"the initrds of /boot have more than {MOST_OF_INITRDS} bytes unpacked")
        return initrds

    @cached_property
    def initrd(self) -> Initrd:
        """Members of the initrd of the kernel that starts."""
        return self.initrds[f"{BOOT_INITRD}{self.kernel}"]

    def initrd_has_module(self, name: str) -> bool:
        """Return whether a module is in the initrd or built into the kernel."""
        names = {module_name(path) for path in self.initrd if ".ko" in path}
        return name in names or name in self.builtin_modules
