# SPDX-License-Identifier: MIT
"""A tree of installed packages, made by mmdebstrap.

mmdebstrap resolves, downloads, checks and unpacks with this machine's APT, and configures in the tree. What packages
look at while they are configured is there before the first of them: fstab (initramfs-tools puts the right fsck into
the initrd), APT's pins, the mount point of the FAT partition.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from builder.errors import BoardwrightError, DownloadError, RecipeError, TrustError
from builder.plan.model import Plan
from builder.rootfs import emulation as emulate
from builder.rootfs.emulation import Emulation
from builder.rootfs.fstab import render_fstab
from builder.rootfs.identity import link_firmware
from builder.rootfs.sources import render_pins, render_sources
from builder.run import Result, failure, run
from builder.tree import write_text

APT_OPTIONS = ('APT::Install-Recommends "false"', 'Acquire::Languages "none"', 'Acquire::Retries "3"')

UNTRUSTED = re.compile(
    r"NO_PUBKEY|EXPKEYSIG|EXPSIG|BADSIG|REVKEYSIG|is not signed|Hash Sum mismatch|Missing key|"
    r"File has unexpected size|"
    r"Release file for .* is (expired|not valid yet)|sqv returned an error|couldn't be verified|Bad signature"
)
UNREACHABLE = re.compile(
    r"Could not resolve|Could not connect|Unable to connect|Failed to fetch|Connection (failed|refused|timed out)|"
    r"404 +Not Found|does not have a Release file"
)
UNKNOWN_PACKAGE = re.compile(r"Unable to locate package (\S+)|Package '?([a-z0-9+.-]+)'? has no installation candidate")
UNKNOWN_VERSION = re.compile(r"(Version|Release) '([^']+)' for '([^']+)' was not found")


def make_tree(
    plan: Plan,
    emulation: Emulation,
    keys: Mapping[str, Path],
    *,
    target: Path,
    scratch: Path,
    log_file: Path,
) -> None:
    """Install the plan's packages into the directory `target`, which must not exist.

    keys  keyring file on this machine for each archive of the recipe

    Raises TrustError (a signature, key or digest is wrong), DownloadError (an archive cannot be reached),
    RecipeError (an archive has no such package), SpaceError, ToolError (a package failed to configure).
    """
    seed = _write_seed(plan, scratch / "seed")
    sources = scratch / "archives.sources"
    sources.write_text(render_sources(plan.recipe.archives, keys), encoding="utf-8")
    argv = [
        "mmdebstrap",
        *emulate.mmdebstrap_options(emulation),
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(plan.packages.names)}",
        *(f"--aptopt={option}" for option in APT_OPTIONS),
        # Nothing is lost if the machine goes down now, and syncing each file of each package costs minutes.
        "--dpkgopt=force-unsafe-io",
        f'--setup-hook=cp -a {shlex.quote(f"{seed}/.")} "$1/"',
        plan.recipe.suite,
        str(target),
        str(sources),
    ]
    result = run(
        emulate.command(emulation, argv, rootfs=target),
        env={"SOURCE_DATE_EPOCH": str(plan.epoch)},
        ok=range(256),
        log_file=log_file,
        name="mmdebstrap",
    )
    if result.code:
        raise explain(result, plan, log_file)


def _write_seed(plan: Plan, seed: Path) -> Path:
    for slot in plan.disk.slots:
        (seed / slot.mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
    link_firmware(plan, seed)
    write_text(seed, "/etc/fstab", render_fstab(plan))
    pins = render_pins(plan.recipe.archives)
    if pins:
        write_text(seed, "/etc/apt/preferences.d/boardwright", pins)
    return seed


def explain(result: Result, plan: Plan, log_file: Path) -> BoardwrightError:
    """Return the error that says what APT or dpkg met, by what the user can do about it."""
    said = result.stderr + result.stdout
    lines = [line.strip() for line in said.splitlines()]
    untrusted = [line for line in lines if UNTRUSTED.search(line)]
    unreachable = [line for line in lines if UNREACHABLE.search(line)]
    unknown = _find_unknown(said)
    hint = f"the whole story is in {log_file}"
    if untrusted:
        return TrustError("\n".join(["a package archive is not to be trusted:", *_first(untrusted)]), hint=hint)
    if unknown:
        suites = ", ".join(sorted({suite for archive in plan.recipe.archives.values() for suite in archive.suites}))
        return RecipeError(
            f"boards/{plan.board}: no package {', '.join(unknown)} for {plan.recipe.architecture} in {suites}",
            hint="look for the name with `apt-cache search`, or add the archive that has it to `archives`",
        )
    if unreachable:
        return DownloadError("\n".join(["a package archive cannot be reached:", *_first(unreachable)]), hint=hint)
    return failure(result, log_file, name="mmdebstrap")


def _find_unknown(said: str) -> list[str]:
    """Return the packages APT does not know, as a recipe names them: tool, tool=1.0, tool/trixie-backports."""
    names = {match[1] or match[2] for match in UNKNOWN_PACKAGE.finditer(said)}
    signs = {"Version": "=", "Release": "/"}
    chosen = {f"{match[3]}{signs[match[1]]}{match[2]}" for match in UNKNOWN_VERSION.finditer(said)}
    return sorted(names | chosen)


def _first(lines: list[str]) -> list[str]:
    return [f"  | {line}" for line in dict.fromkeys(lines)][:5]
