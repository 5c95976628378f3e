# SPDX-License-Identifier: MIT
"""UEFI: systemd-boot on the ESP, with entries by kernel-install."""

from __future__ import annotations

import re
from collections.abc import Collection

from builder import quote
from builder.boot_methods.lines import NAME, PATH, TEXT, read_lines, refuse_others, take_one
from builder.boot_methods.model import BootEntry, BootProgram, Command
from builder.disk.filetree import FileTree
from builder.errors import VerifyError
from builder.plan.kernel_words import split_words
from builder.plan.model import Plan

ENTRY = "boardwright"
"""First part of the names of systemd-boot's entries: kernel-install's entry token."""
ESP = "/boot/efi"
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

# Files that systemd-boot reads before its configuration or instead of it; in lower case.
EFI_OTHERS = (
    *("loader/entries/*", "efi/linux/*", "efi/systemd/drivers/*", "loader/credentials/*", "loader/addons/*"),
    *("loader/keys/*", "startup.nsh", "shell*.efi", "efi/microsoft/*"),
)
"""systemd-boot(7), systemd-stub(7)."""


def _render(plan: Plan) -> dict[str, str]:
    mount = next((slot.mount for slot in plan.disk.slots if slot.mount.startswith("/boot")), "/boot")
    return {
        "/etc/kernel/cmdline": quote.line(plan.kernel_cmdline) + "\n",
        "/etc/kernel/install.conf": "layout=bls\n",
        # Name of the loader entries. Without it kernel-install uses the machine-id, which the image does not have yet.
        "/etc/kernel/entry-token": f"{ENTRY}\n",
        f"{mount}/loader/loader.conf": "timeout 1\nconsole-mode keep\n",
    }


def _commands(kernels: list[str]) -> list[Command]:
    # During the build the ESP is a plain directory. SYSTEMD_ESP_PATH skips the check that it is a mounted FAT.
    # BOOT_MNT is the directory that systemd's 90-loaderentry makes the paths of entries relative to. bookworm's does
    # not know it, so the last command corrects the entries. There are no EFI variables to write. The random seed would
    # be the same on every card. bookworm's bootctl always writes it, so clean.py removes it.
    env = (("SYSTEMD_ESP_PATH", ESP), ("BOOT_MNT", ESP))
    versions = {kernel: kernel.partition("-")[2] for kernel in kernels}
    entries = [f"{ESP}/loader/entries/{ENTRY}-{version}.conf" for version in versions.values()]
    return [
        Command(("bootctl", "install", "--no-variables"), env),
        *(
            Command(("kernel-install", "add", version, f"/boot/{kernel}", f"/boot/initrd.img-{version}"), env)
            for kernel, version in versions.items()
        ),
        Command(("sed", "--in-place", "--regexp-extended", rf"s#^((linux|initrd) +){ESP}/#\1/#", *entries)),
    ]


def _read(tree: FileTree, plan: Plan, mount: str, laid: Collection[str]) -> BootEntry:
    directory = f"{mount}/loader/entries"
    prefix = f"{directory}/{ENTRY}-"
    files = {entry.path: entry.path.removeprefix(prefix) for entry in tree.glob(f"{prefix}*.conf")}
    refuse_others(tree, mount, EFI_OTHERS, {*files, *laid}, "systemd-boot")
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
    return values["sort-key"], BootEntry(values["linux"], values["initrd"], tuple(split_words(values["options"])))


def _order(version: str) -> list[tuple[int, str]]:
    """Return a sort key for versions; systemd-boot starts the newest (strverscmp_improved in systemd)."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall("[0-9]+|[A-Za-z]+", version)]


PROGRAM = BootProgram(package="systemd-boot", path="/usr/bin/bootctl", commands=_commands, render=_render, read=_read)
