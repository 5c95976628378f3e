# SPDX-License-Identifier: MIT
"""Why APT or dpkg failed, as an error by what the user can do about it.

Their exit code is 100 for everything, so the lines they said decide.
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
    """Return the error that says what APT or dpkg met, by what the user can do about it."""
    said = result.stderr + result.stdout
    lines = [line.strip() for line in said.splitlines()]
    untrusted = [line for line in lines if UNTRUSTED.search(line)]
    unreachable = [line for line in lines if UNREACHABLE.search(line)]
    unknown = _find_unknown(said)
    hint = f"the whole story is in {log_file}"
    if refused := [line for line in lines if REFUSED.search(line)]:
        # APT goes on to say that the archive is not signed.
        hint = f"name a file with the archive's password in {VARIABLE}; {hint}"
        return DownloadError("\n".join(["a package archive asks for a password:", *_first(refused)]), hint=hint)
    if untrusted:
        return TrustError("\n".join(["a package archive is not to be trusted:", *_first(untrusted)]), hint=hint)
    if unknown:
        suites = ", ".join(sorted({suite for archive in plan.recipe.archives.values() for suite in archive.suites}))
        missing = ", ".join(f"{name} (asked for by {_find_key(name, plan)})" for name in unknown)
        return RecipeError(
            f"boards/{plan.board}: no package {missing} for {plan.recipe.architecture} in {suites}",
            hint="look for the name with `apt-cache search`, or add the archive that has it to `archives`",
        )
    if unreachable:
        return DownloadError("\n".join(["a package archive cannot be reached:", *_first(unreachable)]), hint=hint)
    return failure(result, log_file, name=name)


def _find_unknown(said: str) -> list[str]:
    """Return the packages APT does not know, as a recipe names them: tool, tool=1.0, tool/trixie-backports."""
    names = {match[1] or match[2] for match in UNKNOWN_PACKAGE.finditer(said)}
    signs = {"Version": "=", "Release": "/"}
    chosen = {f"{match[3]}{signs[match[1]]}{match[2]}" for match in UNKNOWN_VERSION.finditer(said)}
    return sorted(names | chosen)


def _find_key(package: str, plan: Plan) -> str:
    """Return the key of the recipe that asks for a package."""
    groups = find_groups(plan.recipe)
    keys = [f"`{group.key}`" for group in groups if name_of(package) in map(name_of, group.packages)]
    return " and ".join(keys) or "another package"


def _first(lines: list[str]) -> list[str]:
    return [f"  | {line}" for line in dict.fromkeys(lines)][:5]
