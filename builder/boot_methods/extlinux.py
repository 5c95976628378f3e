# SPDX-License-Identifier: MIT
"""U-Boot with extlinux.conf, written by u-boot-update of u-boot-menu."""

from __future__ import annotations

from collections.abc import Collection

from builder import quote
from builder.boot_methods.lines import PATH, TEXT, BootLine, read_lines, refuse, refuse_others, take_one
from builder.boot_methods.model import BootEntry, BootProgram, Command
from builder.boot_methods.uboot import UBOOT_OTHERS
from builder.disk.filetree import FileTree
from builder.errors import VerifyError
from builder.plan.kernel_words import split_words
from builder.plan.model import Plan

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


def _render(plan: Plan) -> dict[str, str]:
    words = plan.kernel_cmdline.split()
    root = next(word for word in words if word.startswith("root="))
    parameters = " ".join(word for word in words if word != root)
    values = {"U_BOOT_ROOT": root, "U_BOOT_PARAMETERS": parameters, "U_BOOT_MENU_LABEL": "Boardwright"}
    if plan.recipe.boot.device_tree:
        values["U_BOOT_FDT"] = plan.recipe.boot.device_tree
    text = "".join(f"{name}={quote.shell(value)}\n" for name, value in values.items())
    return {"/etc/default/u-boot": f"# Written by Boardwright. After a change: u-boot-update\n{text}"}


def _read(tree: FileTree, plan: Plan, mount: str, laid: Collection[str]) -> BootEntry:
    """Read /boot/extlinux/extlinux.conf of u-boot-update; its paths are relative to the filesystem of /boot."""
    path = "/boot/extlinux/extlinux.conf"
    allowed = {path, *laid}
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
    return BootEntry(kernel, initrd, tuple(split_words(append)))


PROGRAM = BootProgram(
    package="u-boot-menu",
    path="/usr/sbin/u-boot-update",
    commands=lambda _: [Command(("u-boot-update",))],
    render=_render,
    read=_read,
    added=("ro", "quiet"),  # If no parameters are set.
)
