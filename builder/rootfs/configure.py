# SPDX-License-Identifier: MIT
"""Configure the system of a board: host name, language, users, units, first-boot data, version.

Files are written from outside. Programs of the image run only for formats that they own (users, units, locales).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder import quote
from builder.boot_methods.model import Command
from builder.errors import RecipeError
from builder.plan.first_boot import CLOUD_CONFIG, FIRMWARE, render_cloud_config, render_sudoers
from builder.plan.model import Plan
from builder.recipe.written_paths import find_owner
from builder.rootfs.model import CLOUD_DISTRO
from builder.system.files import read_bytes
from builder.system.paths import resolve_inside, write_text

LOCALE_GEN = "/usr/sbin/locale-gen"
UNIT_PLACES = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
"""Directories of system units (systemd.unit(5)), without those that systemd fills while it runs."""
LOCALE_GEN_SCRIPT = Path(__file__).with_name("locale-gen.sh")
CLOUD_DISTRO_SOURCE = Path(__file__).with_name("cloud_distro.py")


def link_firmware(plan: Plan, rootfs: Path) -> None:
    """Link /boot/firmware to the FAT partition on boards that mount it elsewhere."""
    if plan.slot(FIRMWARE):
        return
    mount = next((slot.mount for slot in plan.disk.slots if slot.mount.startswith("/boot/")), None)
    if mount:
        (rootfs / mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
        (rootfs / FIRMWARE.lstrip("/")).symlink_to(os.path.relpath(mount, "/boot"))


def lay_files(plan: Plan, rootfs: Path) -> frozenset[str]:
    """Copy the files/ of the board and its ancestors over the tree, owned by root; return their paths in the tree.

    git keeps only the executable bit of a mode. So modes are set here: 0440 below sudoers.d, which sudo demands,
    else 0755 or 0644.
    """
    laid = set()
    for directory in plan.directories:
        overlay = directory / "files"
        for source in sorted(path for path in overlay.rglob("*") if path.is_symlink() or not path.is_dir()):
            if source.name == ".gitkeep":  # Stands for an empty directory, which git cannot store.
                _make_directory(source, rootfs, "/" + source.parent.relative_to(overlay).as_posix())
                continue
            laid.add(_lay_file(source, rootfs, "/" + source.relative_to(overlay).as_posix()))
    return frozenset(laid)


def _make_directory(source: Path, rootfs: Path, path: str) -> Path:
    directory = resolve_inside(rootfs, path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RecipeError(
            f"{source} needs the directory {path}, but the image has a file on the way to it",
            hint="move the file to another directory",
        ) from error
    return directory


def _lay_file(source: Path, rootfs: Path, path: str) -> str:
    parent = _make_directory(source, rootfs, str(Path(path).parent))
    target = parent / source.name
    inside = target.relative_to(rootfs).as_posix()
    if instead := find_owner(inside):  # Reached by a link of a package, or of a board that this one extends.
        raise RecipeError(f"{source} leads to /{inside}, which the build writes itself", hint=f"use {instead}")
    if target.is_dir() and not target.is_symlink():
        raise RecipeError(f"{source} is a file, but the image has a directory at {path}", hint="choose another name")
    target.unlink(missing_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return f"/{inside}"
    shutil.copyfile(source, target)
    target.chmod(0o440 if "/sudoers.d/" in path else 0o755 if os.access(source, os.X_OK) else 0o644)
    return f"/{inside}"


def write_names(plan: Plan, rootfs: Path) -> None:
    """Write host name, hosts, time zone, locale and the version of the image."""
    recipe = plan.recipe
    write_text(rootfs, "/etc/hostname", recipe.hostname + "\n")
    write_text(
        rootfs,
        "/etc/hosts",
        f"127.0.0.1 localhost\n127.0.1.1 {recipe.hostname}\n\n"
        "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n",
    )
    zone = f"/usr/share/zoneinfo/{recipe.timezone}"
    if not resolve_inside(rootfs, zone).is_file():
        raise RecipeError(
            f"boards/{plan.board}: timezone {recipe.timezone} is not one that tzdata knows",
            hint="names look like Europe/Berlin; some old ones are in the package tzdata-legacy",
        )
    localtime = rootfs / "etc/localtime"
    localtime.unlink(missing_ok=True)
    localtime.symlink_to(f"..{zone}")
    write_text(rootfs, "/etc/timezone", recipe.timezone + "\n")
    write_text(rootfs, "/etc/default/locale", f"LANG={recipe.locale}\n")
    write_text(rootfs, "/etc/locale.gen", f"{recipe.locale} UTF-8\n")
    # A board without a clock starts at the time of this file (systemd, clock-epoch). From its second boot on it starts
    # at the time that timesyncd saved.
    epoch = write_text(rootfs, "/usr/lib/clock-epoch", "")
    os.utime(epoch, (plan.epoch, plan.epoch))


def write_release(plan: Plan, rootfs: Path) -> None:
    """Write the names of board and image and the version into os-release, and a copy onto the FAT partition."""
    base = resolve_inside(rootfs, "/usr/lib/os-release").read_text(encoding="utf-8")
    text = (
        base.rstrip("\n")
        + f"\nIMAGE_ID=boardwright-{plan.board}\nIMAGE_VERSION={plan.version}\n"
        + f"BOARDWRIGHT_BOARD={plan.board}\nBOARDWRIGHT_DEVICE={quote.shell(plan.recipe.title)}\n"
    )
    (rootfs / "etc/os-release").unlink(missing_ok=True)
    write_text(rootfs, "/etc/os-release", text)
    write_text(rootfs, f"{FIRMWARE}/os-release", text)


def write_first_boot(plan: Plan, rootfs: Path) -> None:
    """Configure cloud-init's data source and default user, and copy the caller's user-data to the FAT partition."""
    has_distro = (rootfs / CLOUD_DISTRO.lstrip("/")).parent.is_dir()
    if has_distro:
        write_text(rootfs, CLOUD_DISTRO, CLOUD_DISTRO_SOURCE.read_text(encoding="utf-8"))
    write_text(rootfs, CLOUD_CONFIG, render_cloud_config(plan, has_distro=has_distro))
    if plan.user_data:
        path = write_text(rootfs, f"{FIRMWARE}/user-data", "")
        path.write_bytes(read_bytes(plan.user_data))  # Bytes, to keep the line ends.


def write_locale_gen(rootfs: Path) -> None:
    """Replace locale-gen by a script that creates the locale in its argument, as cloud-init expects."""
    if (rootfs / f"{LOCALE_GEN}.debian".lstrip("/")).is_file():
        write_text(rootfs, LOCALE_GEN, LOCALE_GEN_SCRIPT.read_text(encoding="utf-8"), mode=0o755)


def write_sudoers(plan: Plan, rootfs: Path) -> None:
    """Allow sudo without a password where the recipe says so; with a password, Debian's group sudo allows it."""
    for path, text in render_sudoers(plan).items():
        write_text(rootfs, path, text, mode=0o440)


def identity_commands(plan: Plan, rootfs: Path) -> list[Command]:
    """Return the commands that create locales, groups and users and set the states of units."""
    commands = [
        Command(("dpkg-divert", "--local", "--no-rename", "--add", "/etc/os-release")),
        *_locale_commands(plan),
        *_user_commands(plan, rootfs),
    ]
    if (rootfs / LOCALE_GEN.lstrip("/")).is_file():
        away = ("--divert", f"{LOCALE_GEN}.debian")
        commands.append(Command(("dpkg-divert", "--local", "--rename", *away, "--add", LOCALE_GEN)))
    _check_units(plan, rootfs)
    verbs = {"enabled": "enable", "disabled": "disable", "masked": "mask"}
    for state, verb in verbs.items():
        units = sorted(unit for unit, wanted in plan.recipe.units.items() if wanted == state)
        if units:
            commands.append(Command(("systemctl", verb, *units)))
    return commands


def _check_units(plan: Plan, rootfs: Path) -> None:
    """Raise RecipeError for units that the recipe enables or disables but the tree does not have."""
    wanted = sorted(unit for unit, state in plan.recipe.units.items() if state != "masked")
    if missing := [unit for unit in wanted if not _has_unit(rootfs, unit)]:
        raise RecipeError(
            f"boards/{plan.board}: units: neither a package nor files/ brings {', '.join(missing)}",
            hint=f"add the package, or remove a parent's line with: units: {{{missing[0]}: null}}",
        )


def _has_unit(rootfs: Path, unit: str) -> bool:
    """Return True if systemctl finds the unit: by name, as an instance of a template, or as a SysV script."""
    name, dot, kind = unit.rpartition(".")
    names = {unit, f"{name.partition('@')[0]}@{dot}{kind}" if "@" in name else unit}
    paths = [f"{directory}/{file}" for directory in UNIT_PLACES for file in names]
    return any(resolve_inside(rootfs, path).exists() for path in [*paths, f"/etc/init.d/{name}"])


def _locale_commands(plan: Plan) -> list[Command]:
    return [] if plan.recipe.locale == "C.UTF-8" else [Command(("locale-gen",))]


def _user_commands(plan: Plan, rootfs: Path) -> list[Command]:
    users = plan.recipe.users
    present = {line.split(":")[0] for line in (rootfs / "etc/group").read_text(encoding="utf-8").splitlines()}
    missing = sorted({group for user in users.values() for group in user.groups} - present)
    return [
        *(Command(("groupadd", "--system", group)) for group in missing),
        *(
            Command(
                (
                    "useradd",
                    "--create-home",
                    "--user-group",
                    f"--shell={user.shell}",
                    f"--comment={user.gecos}",
                    f"--groups={','.join(user.groups)}",
                    name,
                )
            )
            for name, user in users.items()
        ),
    ]
