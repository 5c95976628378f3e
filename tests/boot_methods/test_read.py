# SPDX-License-Identifier: MIT
"""What boot loaders read: files as builds write them are understood, and all that a boot loader may read otherwise is
refused with its file and line."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from builder.boot_methods.model import BootEntry
from builder.boot_methods.table import planned_words, read_boot_entry
from builder.disk.fstab import read_fstab
from builder.errors import VerifyError
from builder.plan.model import Plan
from builder.units import MIB
from builder.verify.parametrize import TABLES, laid_files
from tests.support.boot_files import ENTRY, NEW, OLD, boot_files
from tests.support.qemu_images import plan_of
from tests.support.trees import make_tree

BOARDS = {
    "rpi": ("/boot/firmware", f"/boot/firmware/vmlinuz-{NEW}", f"/boot/firmware/initrd.img-{NEW}"),
    "rpi-foundation": ("/boot/firmware", f"/boot/firmware/vmlinuz-{NEW}", f"/boot/firmware/initrd.img-{NEW}"),
    "qemu-amd64": (
        "/boot/efi",
        f"/boot/efi/boardwright/{NEW}/linux",
        f"/boot/efi/boardwright/{NEW}/initrd.img-{NEW}",
    ),
    "orangepi-pc": ("/boot/firmware", f"/boot/vmlinuz-{NEW}", f"/boot/initrd.img-{NEW}"),
    "odroid-xu4": ("/boot/firmware", f"/boot/vmlinuz-{NEW}", f"/boot/initrd.img-{NEW}"),
    "odroid-c1": ("/boot/firmware", "/boot/firmware/uImage", "/boot/firmware/uInitrd"),
    "shieldtv": ("/boot/firmware", "/vmlinuz", "/initrd.img"),
}
"""A board of each boot method, where its boot files are, and what starts."""
CONFIG, CMDLINE = "/boot/firmware/config.txt", "/boot/firmware/cmdline.txt"
LOADER, NEWEST = "/boot/efi/loader/loader.conf", f"/boot/efi/loader/entries/boardwright-{NEW}.conf"
EXTLINUX = "/boot/extlinux/extlinux.conf"
SHELL = "init=/bin/sh"


def read(board: str, work: Path, changed: dict[str, str] | None = None, plan: Plan | None = None) -> BootEntry:
    """Return what starts of a board's boot files, with others in their place or besides."""
    plan = plan or plan_of(board)
    tree = make_tree(work, boot_files(plan) | (changed or {}))
    return read_boot_entry(tree, plan, BOARDS[board][0], laid_files(plan))


def changed(board: str, path: str, old: str, new: str) -> dict[str, str]:
    """Return a boot file with another text in one place."""
    text = boot_files(plan_of(board))[path]
    assert old in text
    return {path: text.replace(old, new, 1)}


@pytest.mark.parametrize("board", BOARDS)
def test_what_a_build_writes_is_read(board: str, tmp_path: Path) -> None:
    plan = plan_of(board)
    entry = read(board, tmp_path)
    assert (entry.kernel, entry.initrd) == BOARDS[board][1:]
    assert set(plan.kernel_cmdline.split()) <= set(entry.cmdline) <= planned_words(plan)


def test_the_older_programs_of_bookworm_are_read(tmp_path: Path) -> None:
    assert read("orangepi-pc", tmp_path, changed("orangepi-pc", EXTLINUX, "prompt 1", "prompt 0"))
    comments = ENTRY.partition("title")[0]
    assert read("qemu-amd64", tmp_path, changed("qemu-amd64", NEWEST, comments, "")).kernel.endswith(f"/{NEW}/linux")


def test_a_board_without_a_device_tree_of_its_own_has_all_of_them(tmp_path: Path) -> None:
    text = boot_files(plan_of("orangepi-pc"))[EXTLINUX]
    trees = re.sub(r"\tfdt (/usr/lib/linux-image-[^/]*/).*", r"\tfdtdir \1", text)
    assert read("orangepi-pc", tmp_path, {EXTLINUX: trees}).kernel == f"/boot/vmlinuz-{NEW}"


def test_files_that_the_board_lays_are_known(tmp_path: Path) -> None:
    """This U-Boot has to be told to look for extlinux.conf; another spec compares the file."""
    assert read("odroid-xu4", tmp_path, {"/boot/firmware/boot.ini": "x"}).kernel == f"/boot/vmlinuz-{NEW}"


def test_kernels_of_riscv64_have_another_name(tmp_path: Path) -> None:
    text = boot_files(plan_of("visionfive2"))[EXTLINUX].replace("vmlinuz", "vmlinux")
    tree = make_tree(tmp_path, {EXTLINUX: text})
    assert read_boot_entry(tree, plan_of("visionfive2"), "/boot/firmware", ()).kernel == f"/boot/vmlinux-{NEW}"


def test_lines_of_the_recipe_are_read_wherever_the_hook_puts_them(tmp_path: Path) -> None:
    plan = plan_of("rpi")
    config = {"model": "[pi4]\ndtoverlay=disable-bt\n[all]\n\n  # mine\nenable_uart=1\n"}
    boot = plan.recipe.boot.model_copy(update={"config": config})
    own = Plan(**{**vars(plan), "recipe": plan.recipe.model_copy(update={"boot": boot})})
    assert read("rpi", tmp_path, plan=own).kernel == BOARDS["rpi"][1]
    text = boot_files(own)[CONFIG]
    late = {CONFIG: text.replace("upstream_kernel=1\n", "", 1) + "upstream_kernel=1\n"}
    with pytest.raises(VerifyError, match=r"'upstream_kernel=1'; expected lines of the recipe, after a line with \["):
        read("rpi", tmp_path, late, plan=own)


REFUSED: dict[str, tuple[str, dict[str, str], str]] = {
    "another command line": ("rpi", changed("rpi", CONFIG, "enable", "cmdline=evil.txt\nenable"), "'cmdline=evil.txt'"),
    "a file to include": ("rpi", changed("rpi", CONFIG, "enable", "include more.txt\nenable"), "'include more.txt'"),
    "a prefix": ("rpi", changed("rpi", CONFIG, "enable", "os_prefix=x/\nenable"), "'os_prefix=x/'"),
    "a kernel that is indented": ("rpi", changed("rpi", CONFIG, "enable", "  kernel=x\nenable"), "'  kernel=x'"),
    "a kernel in capitals": ("rpi", changed("rpi", CONFIG, "enable", "KERNEL=x\nenable"), "'KERNEL=x'"),
    "a second kernel": ("rpi", changed("rpi", CONFIG, "enable", "kernel=x\nenable"), "one line with kernel"),
    "a second initrd": ("rpi", changed("rpi", CONFIG, "enable", "initramfs x\nenable"), "one line with initramfs"),
    "no kernel": ("rpi", changed("rpi", CONFIG, f"kernel=vmlinuz-{NEW}\n", ""), "has no line with kernel"),
    "a filter": ("rpi", changed("rpi", CONFIG, "enable", "[none]\nenable"), r"'\[none\]'"),
    "a line in a comment": ("rpi", changed("rpi", CONFIG, "enable", "# x\rkernel=x\nenable"), r"# x\\rkernel=x"),
    "a name that is cut off": (
        "rpi",
        changed("rpi", CONFIG, f"kernel=vmlinuz-{NEW}", f"kernel={'x' * 95}"),
        "kernel=x",
    ),
    "a file of another directory": ("rpi", changed("rpi", CONFIG, "kernel=vm", "kernel=x/vm"), "'kernel=x/vmlinuz"),
    "autoboot": ("rpi", {"/boot/firmware/autoboot.txt": "[all]\nboot_partition=2\n"}, "the firmware reads"),
    "tryboot, on a FAT": ("rpi", {"/boot/firmware/TRYBOOT.TXT": "kernel=x\n"}, "the firmware reads"),
    "a program before the kernel": ("rpi", {"/boot/firmware/armstub8.bin": "x"}, "the firmware reads"),
    "a link": ("rpi", {CMDLINE: "->/etc/cmdline", "/etc/cmdline": "quiet"}, f"no file {CMDLINE}"),
    "options twice": (
        "qemu-amd64",
        changed("qemu-amd64", NEWEST, "options ", f"options {SHELL}\noptions "),
        "one line with options",
    ),
    "options after a tab": (
        "qemu-amd64",
        changed("qemu-amd64", NEWEST, "linux ", f"options\t{SHELL}\nlinux "),
        r"options\\tinit",
    ),
    "options that are indented": (
        "qemu-amd64",
        changed("qemu-amd64", NEWEST, "linux ", f"  options {SHELL}\nlinux "),
        "'  options",
    ),
    "initrds": ("qemu-amd64", changed("qemu-amd64", NEWEST, "initrd ", "initrd /x\ninitrd "), "one line with initrd"),
    "a program of UEFI": ("qemu-amd64", changed("qemu-amd64", NEWEST, "linux ", "efi /x.efi\nlinux "), "'efi /x.efi'"),
    "a unified kernel": ("qemu-amd64", {"/boot/efi/EFI/Linux/evil.efi": "MZ"}, "systemd-boot reads"),
    "an entry in capitals": ("qemu-amd64", {"/boot/efi/loader/entries/zz.CONF": "linux /x\n"}, "systemd-boot reads"),
    "an entry of another name": ("qemu-amd64", {"/boot/efi/loader/entries/a.conf": "linux /x\n"}, "systemd-boot reads"),
    "a credential": ("qemu-amd64", {"/boot/efi/loader/credentials/x.cred": "x"}, "systemd-boot reads"),
    "a driver": ("qemu-amd64", {"/boot/efi/EFI/systemd/drivers/xx64.efi": "MZ"}, "systemd-boot reads"),
    "a default": ("qemu-amd64", {LOADER: "timeout 1\nconsole-mode keep\ndefault zz.conf\n"}, "'default zz.conf'"),
    "no loader.conf": ("qemu-amd64", {LOADER: "->/nowhere"}, f"no file {LOADER}"),
    "an entry of another version": (
        "qemu-amd64",
        {f"/boot/efi/loader/entries/boardwright-{NEW}x.conf": ENTRY.format(version=NEW, cmdline="quiet")},
        "another version than that of its name",
    ),
    "a kernel of elsewhere": (
        "qemu-amd64",
        changed("qemu-amd64", NEWEST, f"linux      /boardwright/{NEW}", "linux      /other"),
        "another version than that of its name",
    ),
    "an older entry with other words": (
        "qemu-amd64",
        changed("qemu-amd64", NEWEST.replace(NEW, OLD), "root=", f"{SHELL} root="),
        "differ in options or sort-key",
    ),
    "an older entry that is sorted first": (
        "qemu-amd64",
        changed("qemu-amd64", NEWEST.replace(NEW, OLD), "sort-key   b", "sort-key   a"),
        "differ in options or sort-key",
    ),
    "append twice": (
        "orangepi-pc",
        changed("orangepi-pc", EXTLINUX, "\tappend", f"\tappend {SHELL}\n\tappend"),
        "one line with append",
    ),
    "append in capitals": (
        "orangepi-pc",
        changed("orangepi-pc", EXTLINUX, "\tappend", f"\tAPPEND {SHELL}\n\tappend"),
        r"\\tAPPEND",
    ),
    "another default": ("orangepi-pc", changed("orangepi-pc", EXTLINUX, "default l0", "default l1"), "'default l1'"),
    "a row that is of no label": (
        "orangepi-pc",
        changed("orangepi-pc", EXTLINUX, "label l0r", "timeout 1\nlabel l0r"),
        "only the keys of a label",
    ),
    "a label twice": ("orangepi-pc", changed("orangepi-pc", EXTLINUX, "label l0r", "label l0"), "each label only once"),
    "another label": ("orangepi-pc", changed("orangepi-pc", EXTLINUX, "label l1", "label x"), "'label x'"),
    "other words in a label": (
        "orangepi-pc",
        changed("orangepi-pc", EXTLINUX, " single", f" single {SHELL}"),
        "label l0r differs from l0 in its command line",
    ),
    "an included file": ("orangepi-pc", changed("orangepi-pc", EXTLINUX, "timeout", "include /x\ntimeout"), "/x'"),
    "a fallback": ("orangepi-pc", changed("orangepi-pc", EXTLINUX, "timeout", "fallback l9\ntimeout"), "fallback"),
    "a kernel by the other word": ("orangepi-pc", changed("orangepi-pc", EXTLINUX, "\tlinux", "\tkernel"), "kernel"),
    "overlays": (
        "orangepi-pc",
        changed("orangepi-pc", EXTLINUX, "\t\n", "\tfdtoverlays  /boot/dtbo/x.dtbo\n"),
        "overlays of the board's files",
    ),
    "a device tree of elsewhere": (
        "orangepi-pc",
        changed("orangepi-pc", EXTLINUX, "\t\n", "\tfdt /srv/x.dtb\n"),
        "one device tree, of /usr/lib/linux-image-",
    ),
    "a row before the labels": (
        "orangepi-pc",
        changed("orangepi-pc", EXTLINUX, "prompt", "\tappend x\nprompt"),
        "indented lines below a label",
    ),
    "a file that U-Boot finds first": ("orangepi-pc", {"/extlinux/extlinux.conf": "label x\n"}, "U-Boot reads"),
    "a file of the other partition": ("orangepi-pc", {"/boot/firmware/extlinux/extlinux.conf": "x"}, "U-Boot reads"),
    "a script": ("orangepi-pc", {"/boot.scr": "x"}, "U-Boot reads"),
    "an environment": ("orangepi-pc", {"/boot/firmware/UBOOT.ENV": "x"}, "U-Boot reads"),
    "a script that no recipe brings": ("orangepi-pc", {"/boot/firmware/boot.ini": "x"}, "U-Boot reads"),
    "a line more in a script": (
        "odroid-c1",
        changed("odroid-c1", "/boot/firmware/boot.ini", "bootm", f"setenv bootargs ${{bootargs}} {SHELL}\nbootm"),
        "in line 6: 'setenv bootargs .*; expected 'bootm .*, as in the recipe",
    ),
    "a second script": ("odroid-c1", {"/boot/firmware/boot.scr": f'setenv bootargs "{SHELL}"\n'}, "U-Boot reads"),
    "no script": ("odroid-c1", {"/boot/firmware/boot.ini": "->/nowhere"}, "no file /boot/firmware/boot.ini"),
    "no command line": ("shieldtv", {CMDLINE: "->/nowhere"}, f"no file {CMDLINE}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_boot_loader_may_read_otherwise_is_refused(name: str, tmp_path: Path) -> None:
    board, files, message = REFUSED[name]
    with pytest.raises(VerifyError, match=message) as caught:
        read(board, tmp_path, files)
    assert any(Path(path).parent.name in caught.value.message for path in files)


def test_a_script_of_a_recipe_says_once_what_the_kernel_is_told(tmp_path: Path) -> None:
    plan = plan_of("odroid-c1")
    assert plan.recipe.boot.script
    for text in ('setenv bootargs "{cmdline}"\nsetenv bootargs "${bootargs} x"\n', "bootm\n", "setenv bootargs x\n"):
        script = plan.recipe.boot.script.model_copy(update={"text": text})
        boot = plan.recipe.boot.model_copy(update={"script": script})
        own = Plan(**{**vars(plan), "recipe": plan.recipe.model_copy(update={"boot": boot})})
        with pytest.raises(VerifyError, match="lines about bootargs; expected one"):
            read("odroid-c1", tmp_path, plan=own)


@pytest.mark.parametrize(
    ("board", "path", "text"),
    [
        ("rpi", "/etc/default/raspi-extra-cmdline", "cgroup_enable=memory\n"),
        ("qemu-amd64", "/etc/kernel/cmdline", f"{plan_of('qemu-amd64').kernel_cmdline}\n"),
        ("qemu-amd64", LOADER, "timeout 1\nconsole-mode keep\n"),
        ("odroid-c1", "/etc/flash-kernel/machine", "Boardwright\n"),
        ("shieldtv", CMDLINE, f"{plan_of('shieldtv').kernel_cmdline}\n"),
    ],
)
def test_what_upgrades_of_the_kernel_read_is_compared(board: str, path: str, text: str) -> None:
    """A word that stands there alone would be on the command line after the next one."""
    assert TABLES["boot_config"](plan_of(board))[path] == (path, text)


def test_a_file_of_many_empty_lines_is_read_in_no_time(tmp_path: Path) -> None:
    many = "\n" * 1_000_000
    with pytest.raises(VerifyError, match="in line 1000001: 'x'"):
        read("orangepi-pc", tmp_path, {EXTLINUX: f"{many}x"})
    with pytest.raises(VerifyError, match="has 1048577 bytes; expected at most 1048576"):
        read("orangepi-pc", tmp_path, {EXTLINUX: "\n" * (MIB + 1)})


@pytest.mark.parametrize("key", ["title", "options", "linux", "version"])
def test_a_line_of_many_spaces_is_read_in_no_time(key: str, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(VerifyError, match=f"'{key}  "):
        read("qemu-amd64", tmp_path, {NEWEST: f"{key}{' ' * 500_000}\x01\n"})
    assert time.monotonic() - start < 2


def test_fstab_is_read_by_mount_point() -> None:
    rows = read_fstab(
        "# x\n\nPARTUUID=1-02 / ext4 noatime 0 1\n/a none swap sw\n/b none swap sw 0 0\ntmpfs\t/t tmpfs x\n"
    )
    assert rows["/"].turn == 1
    assert [path for path, row in rows.items() if row.kind == "swap"] == ["/a", "/b"]
    assert rows["/t"].options == "x"
    with pytest.raises(VerifyError, match="one line for each mount point"):
        read_fstab("/a none swap sw 0 0\n/a none swap x 0 0\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/dev/sda9 / ext4 defaults 0 1", "one line for each mount point"),
        ("/dev/sda9 // ext4 defaults 0 1", "one line for each mount point"),
        ("/dev/sda9 /./ ext4 defaults", "one line for each mount point"),
        (r"/dev/sda9 /\056 ext4 defaults", "one line for each mount point"),
        ("/dev/sda9 /srv ext4", "at least four fields"),
        ("/dev/sda9\u2003/srv ext4 x", "at least four fields"),
    ],
)
def test_a_line_of_fstab_that_is_read_in_two_ways_is_refused(line: str, message: str) -> None:
    """Of two lines systemd takes the first, a table by mount point the last."""
    with pytest.raises(VerifyError, match=message) as caught:
        read_fstab(f"PARTUUID=1-02 / ext4 noatime 0 1\n{line}\n")
    assert repr(line) in caught.value.message
