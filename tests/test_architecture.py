# SPDX-License-Identifier: MIT
"""What a new architecture costs: a row in builder/architecture.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.architecture import QEMU_PACKAGES, Architecture, find_architecture
from builder.system.tools import DEBIAN_PACKAGES
from tests.support.one_row import ask_with_row

ROW = """\
    LOONG64 = (
        "loong64",
        ArchitectureRow(
            title="64-bit LoongArch",
            multiarch="loongarch64-linux-gnu",
            qemu="loongarch64",
            elf_class=BITS_64,
            elf_machine=258,
            package="the-package-of-loong",
            uname="loongarch64",
            loader="/lib64/ld-linux-loongarch-lp64d.so.1",
            uefi=(("/dev/null/code", "/dev/null/vars"),),
            uefi_package="uefi-of-loong",
            imager="armv8",
        ),
    )
"""
"""The real one, but for Imager, whose schema has a list of its own."""

PROBE = """
import sys
from pathlib import Path

import pytest

import builder
from builder.architecture import Architecture
from builder.catalogue.addresses import Addresses
from builder.catalogue.download_page import make_cards
from builder.catalogue.imager import make_manifests
from builder.catalogue.listing import sort_releases
from builder.disk.elf import is_foreign
from builder.errors import MachineError
from builder.packaging.model import Channel
from builder.recipe.schema import render_schema
from builder.rootfs import emulation, twins
from builder.system.tools import DEBIAN_PACKAGES
from builder.verify.live.qemu import needs
from tests.support.published import Published

assert Path(builder.__file__).is_relative_to(sys.argv[1]), "it is the copy"
scratch, loong = Path(sys.argv[2]), Architecture("loong64")

assert '"loong64"' in render_schema()
with pytest.MonkeyPatch.context() as patch, pytest.raises(MachineError, match="no static qemu-user for loong64"):
    patch.setattr("shutil.which", lambda name: None)
    emulation.find_qemu("loong64")
head = emulation._make_magic("loong64")
assert head == b"\\x7fELF\\x02\\x01\\x01" + bytes(9) + b"\\x02\\x00\\x02\\x01"
assert not is_foreign(head, "loong64") and is_foreign(head, "arm64")
assert "no twins" not in emulation._find_missing_tool("loong64")
assert twins._loader(loong) == b"/lib64/ld-linux-loongarch-lp64d.so.1\\0"
assert DEBIAN_PACKAGES["qemu-system-loongarch64"] == "the-package-of-loong"
assert needs._find_missing([loong.row.qemu_system])[0].package == "the-package-of-loong"

(scratch / "releases").mkdir()
release = Published(scratch / "releases", None).release("v1.0")
released = release.boards["rpi"]
package = released.image.model_copy(update={"architecture": "loong64"})
release = release.model_copy(update={"boards": {"rpi": released.model_copy(update={"image": package})}})
listed = sort_releases([release], [Channel(channel="stable", release=release, history=[])])
addresses = Addresses("https://images.example.org/os")
assert [card.architecture for card in make_cards(listed, addresses)] == ["64-bit LoongArch"]
(manifest,) = make_manifests(listed, addresses).values()
assert manifest["os_list"][0]["architecture"] == "armv8"
"""


def test_a_new_architecture_is_one_row(tmp_path: Path) -> None:
    ask_with_row("architecture.py", "    RISCV64 = ", ROW, PROBE, tmp_path)


@pytest.mark.parametrize("architecture", Architecture)
def test_a_row_is_whole(architecture: Architecture) -> None:
    row = architecture.row
    assert Architecture(architecture.value) is find_architecture(architecture.value) is architecture
    assert f"{architecture}" == architecture.value
    assert all((row.title, row.multiarch, row.qemu, row.elf_class, row.elf_machine, row.package))
    assert DEBIAN_PACKAGES[row.qemu_system] == row.package
    assert bool(row.uefi) == bool(row.uefi_package)


def test_what_boards_do_not_have_is_no_architecture() -> None:
    assert find_architecture("s390x") is None
    assert len(QEMU_PACKAGES) == 4
