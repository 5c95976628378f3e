# SPDX-License-Identifier: MIT
"""What a cache knows of archives, given to another: its builds ask for news only, and download nothing again."""

from __future__ import annotations

from pathlib import Path

from builder.plan.model import Plan
from builder.rootfs.apt.archives import Archives
from builder.rootfs.apt.sources import collect_keys
from builder.system.process import run


def link_indexes(plan: Plan, theirs: Path, cache: Path) -> None:
    """Link the indexes of another cache into the private apt of a plan, and copy the answers found in them.

    apt replaces its indexes and never writes into them. A private apt is named after the paths of its keys, which may
    lie in the cache, and names its own path: so a copy of the whole would not be found.
    """
    (before,) = theirs.glob("apt/*/")
    archives = plan.recipe.archives
    Archives(plan, collect_keys(archives, cache), cache=cache, log_file=cache / "apt.log")
    (root,) = cache.glob("apt/*/")
    run(["cp", "--archive", "--link", f"{before}/var/lib/apt/lists/.", root / "var/lib/apt/lists"])
    run(["cp", "--archive", before / "answers", root])


def link_store(theirs: Path, cache: Path) -> None:
    """Link the packages of another cache's store."""
    (cache / "store").mkdir(parents=True)
    run(["cp", "--archive", "--link", theirs / "store/objects", theirs / "store/refs", cache / "store"])
