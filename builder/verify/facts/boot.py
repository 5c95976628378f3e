# SPDX-License-Identifier: MIT
"""Read kernel, initrd and command line from the files of each boot method.

Only the formats that the build's own programs write are accepted (rootfs/bootloader.py). A new boot method is a
function and a row in READERS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from builder.disk.filetree import FileTree
from builder.errors import VerifyError
from builder.plan.boot_config import ENTRY
from builder.plan.boot_script import render_script, script_files
from builder.plan.kernel_words import split_words
from builder.plan.model import Plan
from builder.verify.facts.boot_lines import BootLine, read_lines, read_text, refuse, refuse_others, take_one
from builder.verify.parametrize import laid_files

NAME = r"[A-Za-z0-9_][A-Za-z0-9._+~-]*"
PATH = rf"(?:/{NAME})+"
TEXT = r"[^\x00-\x1f\x7f]*"

CONFIG_TXT = {
    # The firmware reads 98 characters of a line.
    "kernel": rf"(?=.{{1,98}}$)kernel=({NAME})",
    "initramfs": rf"(?=.{{1,98}}$)initramfs ({NAME})",
    "fixed": "arm_64bit=1|enable_uart=1|upstream_kernel=1",
}
"""Lines that z50-raspi-firmware of raspi-firmware writes before the recipe's lines."""
LOADER_CONF = {"timeout": "timeout ([0-9]{1,5})", "console-mode": f"console-mode ({NAME})"}
LOADER_ENTRY = {
    "title": rf"title ++({TEXT})",
    "version": rf"version +({NAME})",
    "sort-key": rf"sort-key +({NAME})",
    "options": rf"options ++({TEXT})",
    "linux": rf"linux +({PATH})",
    "initrd": rf"initrd +({PATH})",
}
"""Lines that 90-loaderentry.install of systemd writes.

"++" prevents backtracking: TEXT may start with a space too, so the time would grow with the square of the spaces."""
EXTLINUX_CONF = {
    "empty": r"\t",
    "default": "default (l0)",
    "fixed": f"menu title {TEXT}|prompt [01]|timeout [0-9]{{1,5}}",
    "label": "label (l[0-9]{1,3}r?)",
    "title": rf"\tmenu label ({TEXT})",
    "linux": rf"\tlinux ({PATH})",
    "initrd": rf"\tinitrd ({PATH})",
    "fdt": r"\tfdt(?:dir)? ((?:/[A-Za-z0-9_][A-Za-z0-9._+,@~-]*)+/?)",
    "fdtoverlays": rf"\tfdtoverlays ((?: {PATH})+)",
    "append": rf"\tappend ({TEXT})",
}
"""Lines that u-boot-update of u-boot-menu writes."""

# Files that a boot loader reads before its configuration or instead of it; in lower case.
RASPI_OTHERS = (
    *("autoboot.txt", "tryboot.txt", "boot.img", "boot.sig", "armstub*", "bootconf.txt"),
    *("recovery*.bin", "recovery.elf", "recovery.img", "pieeprom.*"),
)
"""https://www.raspberrypi.com/documentation/computers/raspberry-pi.html, "Boot sequence", and config_txt.html."""
EFI_OTHERS = (
    *("loader/entries/*", "efi/linux/*", "efi/systemd/drivers/*", "loader/credentials/*", "loader/addons/*"),
    *("loader/keys/*", "startup.nsh", "shell*.efi", "efi/microsoft/*"),
)
"""systemd-boot(7), systemd-stub(7)."""
UBOOT_OTHERS = tuple(
    f"{prefix}{name}"
    for prefix in ("", "boot/")
    for name in (
        *("extlinux/extlinux.conf", "boot.scr", "boot.scr.uimg", "boot.ini", "uenv.txt"),
        *("uboot.env", "uboot-redund.env", "ubootefi.var", "efi/boot/*.efi"),
    )
)
"""U-Boot's include/config_distro_bootcmd.h and boot/bootmeth-uclass.c; uboot.env is its environment on a FAT."""


@dataclass(frozen=True)
class BootEntry:
    """Kernel, initrd and command line; paths are those of the system."""

    kernel: str
    initrd: str
    cmdline: tuple[str, ...]


def read_boot_entry(tree: FileTree, plan: Plan, mount: str) -> BootEntry:
    """Return the entry that a boot loader starts from the boot partition at `mount`.

    Raises VerifyError for a line or a file that builds do not write, because the boot loader may read something else.
    """
    return READERS[plan.recipe.boot.method](tree, plan, mount)


def _read_raspi(tree: FileTree, plan: Plan, mount: str) -> BootEntry:
    refuse_others(tree, mount, RASPI_OTHERS, laid_files(plan), "the firmware")
    path = f"{mount}/config.txt"
    of_recipe = {line.rstrip(" \t") for text in plan.recipe.boot.config.values() for line in text.split("\n")} - {""}
    lines = read_lines(tree, path, CONFIG_TXT, lambda line: line.rstrip(" \t") in of_recipe)
    kernel, initrd = take_one(path, lines, "kernel"), take_one(path, lines, "initramfs")
    _refuse_after_a_filter(path, lines)
    return BootEntry(f"{mount}/{kernel}", f"{mount}/{initrd}", _words(read_text(tree, f"{mount}/cmdline.txt")))


def _refuse_after_a_filter(path: str, lines: list[BootLine]) -> None:
    """Raise VerifyError if a line of the build comes after the recipe's first filter ("[pi4]")."""
    first = next((line.number for line in lines if line.text.lstrip().startswith("[")), None)
    late = next((line for line in lines if first and line.number > first and line.key != "known"), None)
    if late:
        raise refuse(path, late.number, late.text, "lines of the recipe, after a line with [")


def _read_efi(tree: FileTree, plan: Plan, mount: str) -> BootEntry:
    directory = f"{mount}/loader/entries"
    prefix = f"{directory}/{ENTRY}-"
    files = {entry.path: entry.path.removeprefix(prefix) for entry in tree.glob(f"{prefix}*.conf")}
    refuse_others(tree, mount, EFI_OTHERS, {*files, *laid_files(plan)}, "systemd-boot")
    config = f"{mount}/loader/loader.conf"
    lines = read_lines(tree, config, LOADER_CONF)
    for key in LOADER_CONF:
        take_one(config, lines, key)
    entries = {version: _read_loader_entry(tree, path, version) for path, version in files.items()}
    if not entries:
        raise VerifyError(f"the image has no {prefix}*.conf, which systemd-boot reads")
    if len({(sort_key, entry.cmdline) for sort_key, entry in entries.values()}) > 1:
        raise VerifyError(f"entries of {directory} in the image differ in options or sort-key; expected the same")
    _, entry = entries[max(entries, key=_order)]
    return BootEntry(mount + entry.kernel, mount + entry.initrd, entry.cmdline)


def _read_loader_entry(tree: FileTree, path: str, file: str) -> tuple[str, BootEntry]:
    """Return the sort-key of an entry, and its boot entry with paths in the boot partition."""
    lines = read_lines(tree, path, LOADER_ENTRY)
    values = {key: take_one(path, lines, key) for key in LOADER_ENTRY}
    top = f"/{ENTRY}/{values['version']}/"
    if f"{values['version']}.conf" != file or not all(values[key].startswith(top) for key in ("linux", "initrd")):
        raise VerifyError(f"{path} of the image starts another version than that of its name; expected {top}")
    return values["sort-key"], BootEntry(values["linux"], values["initrd"], _words(values["options"]))


def _order(version: str) -> list[tuple[int, str]]:
    """Return a sort key for versions; systemd-boot starts the newest (strverscmp_improved in systemd)."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall("[0-9]+|[A-Za-z]+", version)]


def _read_extlinux(tree: FileTree, plan: Plan, mount: str) -> BootEntry:
    """Read /boot/extlinux/extlinux.conf of u-boot-update; its paths are relative to the filesystem of /boot."""
    path = "/boot/extlinux/extlinux.conf"
    allowed = {path, *laid_files(plan)}
    for slot in plan.disk.slots:
        refuse_others(tree, slot.mount, UBOOT_OTHERS, allowed, "U-Boot")
    lines = read_lines(tree, path, EXTLINUX_CONF)
    take_one(path, lines, "default")
    labels = _split_labels(path, lines)
    entries = {label: _read_label(path, rows, allowed) for label, rows in labels.items()}
    if "l0" not in entries:
        raise VerifyError(f"{path} of the image has no label l0, which is its default")
    started = entries["l0"]
    for label, entry in entries.items():
        if not _is_alike(label, entry.cmdline, started.cmdline):
            raise VerifyError(f"{path} of the image: label {label} differs from l0 in its command line")
    top = "/boot" if plan.slot("/boot") else ""
    return BootEntry(top + started.kernel, top + started.initrd, started.cmdline)


def _is_alike(label: str, cmdline: tuple[str, ...], started: tuple[str, ...]) -> bool:
    """Return whether a label has the command line of the default label.

    A recovery entry (l0r) lacks "quiet" and has "single": its shell asks for root's password, which does not exist.
    """
    if not label.endswith("r"):
        return cmdline == started
    loud, wanted = ([word for word in words if word != "quiet"] for words in (cmdline, started))
    return loud == [*wanted, "single"]


def _split_labels(path: str, lines: list[BootLine]) -> dict[str, list[BootLine]]:
    labels: dict[str, list[BootLine]] = {}
    rows: list[BootLine] = []
    for line in lines:
        if line.key == "label":
            if line.value in labels:
                raise refuse(path, line.number, line.text, "each label only once")
            rows = labels.setdefault(line.value, [])
        elif line.text.startswith("\t") and not labels:
            raise refuse(path, line.number, line.text, "indented lines below a label")
        rows.append(line)
    return labels


def _read_label(path: str, rows: list[BootLine], laid: set[str]) -> BootEntry:
    kernel, initrd, append = (take_one(path, rows, key) for key in ("linux", "initrd", "append"))
    trees = [line for line in rows if line.key == "fdt"]
    top = f"/usr/lib/linux-image-{kernel.partition('vmlinuz-')[2] or kernel.partition('vmlinux-')[2]}/"
    for line in rows:
        if line.key in ("default", "fixed"):
            raise refuse(path, line.number, line.text, "only the keys of a label")
        if line.key == "fdtoverlays" and not laid.issuperset(line.value.split()):
            raise refuse(path, line.number, line.text, "overlays of the board's files/")
        if line.key == "fdt" and (line is not trees[0] or not line.value.startswith(top)):
            raise refuse(path, line.number, line.text, f"one device tree, of {top}")
    return BootEntry(kernel, initrd, _words(append))


def _read_script(tree: FileTree, plan: Plan, mount: str) -> BootEntry:
    """Read U-Boot's script, which must be the recipe's own, and the files of flash-kernel beside it."""
    script, files = plan.recipe.boot.script, script_files(plan)
    assert script
    path = f"{mount}/{script.file}"
    for slot in plan.disk.slots:
        refuse_others(tree, slot.mount, UBOOT_OTHERS, {path, *laid_files(plan)}, "U-Boot")
    text, wanted = read_text(tree, path), render_script(plan)
    if text != wanted:
        pairs = zip([*text.split("\n"), "(its end)"], [*wanted.split("\n"), "(its end)"], strict=False)
        number, (line, planned) = next((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        raise refuse(path, number, line, f"{planned!r}, as in the recipe")
    lines = [line for line in text.split("\n") if "bootargs" in line]
    matches = [re.fullmatch(rf'[ \t]*setenv bootargs "({TEXT})"', line) for line in lines]
    if len(matches) != 1 or matches[0] is None:
        raise VerifyError(
            f"{path} of the image has {len(lines)} lines about bootargs; expected one, "
            'setenv bootargs "WORDS", for example with {cmdline}',
            hint="change `boot.script` in the recipe",
        )
    return BootEntry(f"{mount}/{files['kernel']}", f"{mount}/{files['initrd']}", _words(matches[0][1]))


def _read_none(tree: FileTree, _: Plan, mount: str) -> BootEntry:
    return BootEntry("/vmlinuz", "/initrd.img", _words(read_text(tree, f"{mount}/cmdline.txt")))


def _words(line: str) -> tuple[str, ...]:
    return tuple(split_words(line))


READERS: Mapping[str, Callable[[FileTree, Plan, str], BootEntry]] = MappingProxyType(
    {
        "raspi": _read_raspi,
        "efi": _read_efi,
        "extlinux": _read_extlinux,
        "flash-kernel": _read_script,
        "none": _read_none,
    }
)
