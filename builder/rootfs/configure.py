# SPDX-License-Identifier: MIT
"""What makes a tree this board's system: name, language, users, units, first-boot data, version.

Files are written from outside; programs of the image run only where they own the format (users, units, locales).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder import quote
from builder.errors import RecipeError
from builder.plan.first_boot import CLOUD_CONFIG, FIRMWARE, render_cloud_config, render_sudoers
from builder.plan.model import Plan
from builder.recipe.written_paths import find_owner
from builder.rootfs.bootloader import Command
from builder.rootfs.model import CLOUD_DISTRO
from builder.system.files import read_bytes
from builder.system.paths import resolve_inside, write_text

LOCALE_GEN = "/usr/sbin/locale-gen"
UNIT_PLACES = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
"""Where systemd reads units of the system (systemd.unit(5)), but those that it makes while it runs."""
LOCALE_GEN_SCRIPT = Path(__file__).with_name("locale-gen.sh")
CLOUD_DISTRO_SOURCE = Path(__file__).with_name("cloud_distro.py")


def link_firmware(plan: Plan, rootfs: Path) -> None:
    """Make /boot/firmware lead to the FAT partition on boards that mount it elsewhere."""
    if plan.slot(FIRMWARE):
        return
    mount = next((slot.mount for slot in plan.disk.slots if slot.mount.startswith("/boot/")), None)
    if mount:
        (rootfs / mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
        (rootfs / FIRMWARE.lstrip("/")).symlink_to(os.path.relpath(mount, "/boot"))


def lay_files(plan: Plan, rootfs: Path) -> frozenset[str]:
    """Lay the files/ of the board and of its ancestors over the tree, as root's, with plain modes; return their places.

    git keeps nothing of a mode but the executable bit, so the others are set here: 0440 below sudoers.d, which
    sudo insists on, else 0755 or 0644.
    """
    laid = set()
    for directory in plan.directories:
        overlay = directory / "files"
        for source in sorted(path for path in overlay.rglob("*") if path.is_symlink() or not path.is_dir()):
            if source.name == ".gitkeep":  # git has no empty directories: it stands for one.
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
    place = target.relative_to(rootfs).as_posix()
    if instead := find_owner(place):  # By a link of a package, or of a board that this one extends.
        raise RecipeError(f"{source} leads to /{place}, which the build writes itself", hint=f"use {instead}")
    if target.is_dir() and not target.is_symlink():
        raise RecipeError(f"{source} is a file, but the image has a directory at {path}", hint="choose another name")
    target.unlink(missing_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return f"/{place}"
    shutil.copyfile(source, target)
    target.chmod(0o440 if "/sudoers.d/" in path else 0o755 if os.access(source, os.X_OK) else 0o644)
    return f"/{place}"


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
    # A board without a clock starts at the time of this file (systemd, clock-epoch), and from its second boot on
    # at the time that timesyncd kept.
    epoch = write_text(rootfs, "/usr/lib/clock-epoch", "")
    os.utime(epoch, (plan.epoch, plan.epoch))


def write_release(plan: Plan, rootfs: Path) -> None:
    """Write the board's and the image's version into os-release, and a copy onto the FAT partition."""
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
    """Point cloud-init at the FAT partition, name its default user, and lay the user's own user-data there."""
    has_distro = (rootfs / CLOUD_DISTRO.lstrip("/")).parent.is_dir()
    if has_distro:
        write_text(rootfs, CLOUD_DISTRO, CLOUD_DISTRO_SOURCE.read_text(encoding="utf-8"))
    write_text(rootfs, CLOUD_CONFIG, render_cloud_config(plan, has_distro=has_distro))
    if plan.user_data:
        path = write_text(rootfs, f"{FIRMWARE}/user-data", "")
        path.write_bytes(read_bytes(plan.user_data))  # As it is, ends of lines included.


def write_locale_gen(rootfs: Path) -> None:
    """Let locale-gen make the locale that it is called with, as cloud-init expects."""
    if (rootfs / f"{LOCALE_GEN}.debian".lstrip("/")).is_file():
        write_text(rootfs, LOCALE_GEN, LOCALE_GEN_SCRIPT.read_text(encoding="utf-8"), mode=0o755)


def write_sudoers(plan: Plan, rootfs: Path) -> None:
    """Let users do without a password where the recipe says so; with one, Debian's sudo group already does."""
    for path, text in render_sudoers(plan).items():
        write_text(rootfs, path, text, mode=0o440)


def identity_commands(plan: Plan, rootfs: Path) -> list[Command]:
    """Return what to run in the tree: locales, groups, users, units."""
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
    """Raise RecipeError for units that the recipe enables or disables and nothing in the tree brings."""
    wanted = sorted(unit for unit, state in plan.recipe.units.items() if state != "masked")
    if missing := [unit for unit in wanted if not _has_unit(rootfs, unit)]:
        raise RecipeError(
            f"boards/{plan.board}: units: neither a package nor files/ brings {', '.join(missing)}",
            hint=f"add the package, or take the line of a parent away: units: {{{missing[0]}: null}}",
        )


def _has_unit(rootfs: Path, unit: str) -> bool:
    """Say whether systemctl finds a unit: by its name, as an instance of its template, or as a script of SysV."""
    name, dot, kind = unit.rpartition(".")
    names = {unit, f"{name.partition('@')[0]}@{dot}{kind}" if "@" in name else unit}
    places = [f"{place}/{each}" for place in UNIT_PLACES for each in names]
    return any(resolve_inside(rootfs, place).exists() for place in [*places, f"/etc/init.d/{name}"])


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
