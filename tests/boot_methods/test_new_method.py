# SPDX-License-Identifier: MIT
"""What a new boot method costs: a module in builder/boot_methods/, and a row in builder/recipe/boot.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.boot_methods.model import BootProgram
from builder.boot_methods.table import PROGRAMS
from builder.recipe.boot import BootMethod
from builder.system.extensions import load_named
from tests.support.one_row import ask_with_row

ROW = """\
    UNIFIED = ("unified", BootRow("one file of kernel, initrd and command line on the ESP", needs_esp=True))
"""
MODULE = '''\
"""Kernel, initrd and command line in one file, which ukify of systemd-ukify writes."""

from builder import quote
from builder.boot_methods.lines import read_text
from builder.boot_methods.model import BootEntry, BootProgram, Command

FILE = "/boot/efi/EFI/Linux/boardwright.efi"


def _read(tree, plan, mount, laid):
    text = read_text(tree, FILE)
    return BootEntry(FILE, FILE, tuple(text.split()))


PROGRAM = BootProgram(
    package="systemd-ukify",
    path="/usr/bin/ukify",
    commands=lambda kernels: [Command(("ukify", "build", f"--linux=/boot/{kernel}")) for kernel in kernels],
    render=lambda plan: {"/etc/kernel/uki.conf": quote.line(plan.kernel_cmdline)},
    read=_read,
    added=("systemd.new",),
    seed={"/etc/kernel/seed": "seed"},
)
'''
BOARD = """\
extends: qemu-amd64
boot:
  method: unified
"""
WRONG = {
    "extends: qemu-amd64\nboot: {method: unified, config: {a: b=1}}\n": "expected it with raspi only",
    BOARD + "table:\n  partitions:\n"
    "    - {name: a, filesystem: fat32, mount: /boot/efi, size: 64MiB, label: A}\n"
    "    - {name: root, filesystem: ext4, mount: /, size: auto, label: r}\n": "found unified; expected a fat32",
}
PROBE = """
import shutil
import sys
from pathlib import Path

import pytest

import builder
from builder.boot_methods.table import find_boot_program, planned_words
from builder.errors import RecipeError
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.recipe.schema import render_schema
from builder.rootfs.bootloader import prepare_boot
from builder.rootfs.inputs import CODE
from builder.system.fingerprint import find_code
from builder.verify.facts.image import read_boot_entry
from builder.verify.parametrize import TABLES, find_traits
from tests.conftest import ROOT
from tests.support.trees import make_tree
from tests.boot_methods.test_new_method import BOARD, WRONG

copy, scratch = Path(sys.argv[1]), Path(sys.argv[2])
assert Path(builder.__file__).is_relative_to(copy), "it is the copy"
boards = scratch / "boards"
shutil.copytree(ROOT / "boards", boards, ignore=shutil.ignore_patterns("*.deb"))
(boards / "mine").mkdir()
recipe = boards / "mine/board.yaml"
recipe.write_text(BOARD)

schema = render_schema()
assert '"unified"' in schema and "one file of kernel, initrd and command line on the ESP" in schema
plan = make_plan(load_board(boards, "mine"), version="1.0", epoch=1)
assert "unified" in find_traits(plan)
assert "systemd.new" in planned_words(plan)
assert list(TABLES["boot_config"](plan)) == ["/etc/kernel/uki.conf"]
assert find_boot_program(plan).seed == {"/etc/kernel/seed": "seed"}

root = scratch / "root"
(root / "boot").mkdir(parents=True)
(root / "boot/vmlinuz-6.12").touch()
with pytest.raises(RecipeError, match="boot method unified needs /usr/bin/ukify") as caught:
    prepare_boot(plan, root)
assert caught.value.hint == "add the package systemd-ukify to `packages`"
(root / "usr/bin").mkdir(parents=True)
(root / "usr/bin/ukify").touch()
assert [command.argv for command in prepare_boot(plan, root)] == [("ukify", "build", "--linux=/boot/vmlinuz-6.12")]
assert (root / "etc/kernel/uki.conf").read_text() == plan.kernel_cmdline

tree = make_tree(scratch, {"/boot/efi/EFI/Linux/boardwright.efi": "console=tty0 rw"})
assert read_boot_entry(tree, plan, "/boot/efi", ()).cmdline == ("console=tty0", "rw")
assert copy / "boot_methods/unified.py" in find_code(CODE), "it is an input of the rootfs"

for text, message in WRONG.items():
    recipe.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_board(boards, "mine")
"""


def test_a_new_boot_method_is_a_module_and_a_row(tmp_path: Path) -> None:
    ask_with_row("recipe/boot.py", "    NONE = ", ROW, PROBE, tmp_path, {"boot_methods/unified.py": MODULE})


@pytest.mark.parametrize("method", BootMethod)
def test_a_row_is_whole(method: BootMethod) -> None:
    assert BootMethod(method.value) is method
    assert method.row.title
    assert set(method.row.required) <= set(method.row.allowed)
    assert PROGRAMS[method].path.startswith("/")
    assert PROGRAMS[method].package


def test_a_module_that_is_missing_or_wrong_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "odd_methods"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "flash_kernel.py").write_text("PROGRAM = 'none'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match=r"odd_methods\.raspi"):
        load_named("odd_methods", ["raspi"], "PROGRAM", BootProgram)
    with pytest.raises(TypeError, match=r"odd_methods.flash_kernel.PROGRAM: found str; expected BootProgram"):
        load_named("odd_methods", ["flash-kernel"], "PROGRAM", BootProgram)
    assert load_named("odd_methods", ["flash-kernel"], "PROGRAM", str) == {"flash-kernel": "none"}
