# SPDX-License-Identifier: MIT
"""Convert failures of APT and dpkg to errors that say what the user can do.

Their exit code is always 100, so their output decides.
"""

from __future__ import annotations

import re
from pathlib import Path

from builder.errors import BoardwrightError, DownloadError, RecipeError, TrustError
from builder.plan.model import Plan
from builder.plan.packages import find_groups, name_of
from builder.rootfs.apt.auth import VARIABLE
from builder.system.process import Result, failure

UNTRUSTED = re.compile(
    r"NO_PUBKEY|EXPKEYSIG|EXPSIG|BADSIG|REVKEYSIG|is (not|no longer) signed|Hash Sum mismatch|Missing key|"
    r"File has unexpected size|"
    r"Release file for .* is (expired|not valid yet)|sqv returned an error|couldn't be verified|Bad signature"
)
UNREACHABLE = re.compile(
    r"Could not resolve|Could not connect|Unable to connect|Failed to fetch|Connection (failed|refused|timed out)|"
    r"404 +Not Found|(does not have|no longer has) a Release file"
)
REFUSED = re.compile(r"40[13] +(Unauthorized|Forbidden)")
UNKNOWN_PACKAGE = re.compile(r"Unable to locate package (\S+)|Package '?([a-z0-9+.-]+)'? has no installation candidate")
UNKNOWN_VERSION = re.compile(r"(Version|Release) '([^']+)' for '([^']+)' was not found")


def explain(result: Result, plan: Plan, log_file: Path, *, name: str) -> BoardwrightError:
    """Return the error for a failed run of APT or dpkg, by its cause."""
    output = result.stderr + result.stdout
    lines = [line.strip() for line in output.splitlines()]
    untrusted = [line for line in lines if UNTRUSTED.search(line)]
    unreachable = [line for line in lines if UNREACHABLE.search(line)]
    unknown = _find_unknown(output)
    hint = f"see the whole log: {log_file}"
    if refused := [line for line in lines if REFUSED.search(line)]:
        # First, because APT then also reports that the archive is not signed.
        hint = f"set {VARIABLE} to a file with the archive's password; {hint}"
        return DownloadError("\n".join(["a package archive asks for a password:", *_first(refused)]), hint=hint)
    if untrusted:
        return TrustError("\n".join(["a package archive cannot be trusted:", *_first(untrusted)]), hint=hint)
    if unknown:
        suites = ", ".join(sorted({suite for archive in plan.recipe.archives.values() for suite in archive.suites}))
        missing = ", ".join(f"{name} (asked for by {_find_key(name, plan)})" for name in unknown)
        return RecipeError(
            f"boards/{plan.board}: no package {missing} for {plan.recipe.architecture} in {suites}",
            hint="search for the name with `apt-cache search`, or add the package's archive to `archives`",
        )
    if unreachable:
        return DownloadError("\n".join(["a package archive cannot be reached:", *_first(unreachable)]), hint=hint)
    return failure(result, log_file, name=name)


def _find_unknown(output: str) -> list[str]:
    """Return the packages that APT does not know, as in a recipe: tool, tool=1.0, tool/trixie-backports."""
    names = {match[1] or match[2] for match in UNKNOWN_PACKAGE.finditer(output)}
    signs = {"Version": "=", "Release": "/"}
    chosen = {f"{match[3]}{signs[match[1]]}{match[2]}" for match in UNKNOWN_VERSION.finditer(output)}
    return sorted(names | chosen)


def _find_key(package: str, plan: Plan) -> str:
    """Return the keys of the recipe that contain a package, or "another package"."""
    groups = find_groups(plan.recipe)
    keys = [f"`{group.key}`" for group in groups if name_of(package) in map(name_of, group.packages)]
    return " and ".join(keys) or "another package"


def _first(lines: list[str]) -> list[str]:
    return [f"  | {line}" for line in dict.fromkeys(lines)][:5]
