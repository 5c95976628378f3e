# SPDX-License-Identifier: MIT
"""Render a plan as tables for a terminal, or as one JSON document.

Both contain no path of this machine, except the name of a user-data file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType

from rich.console import Group, JustifyMethod, RenderableType
from rich.text import Text

from builder.plan.ids import portable
from builder.plan.layout import find_disk_sectors
from builder.plan.model import BlobPlan, Plan, Slot
from builder.plan.packages import find_groups
from builder.plan.user_data import digest_user_data
from builder.text import TextTable, dump_json
from builder.units import SECTOR, render_size


def render_json(plan: Plan) -> str:
    """Return the plan as one JSON document with sorted keys; equal plans give equal texts."""
    data = {
        "format": 1,
        "board": plan.board,
        "version": plan.version,
        "epoch": plan.epoch,
        "recipe": plan.recipe.model_dump(mode="json"),
        "directories": [directory.name for directory in plan.directories],
        "packages": asdict(plan.packages),
        "disk": asdict(plan.disk),
        "kernel_cmdline": plan.kernel_cmdline,
        "user_data": {"name": plan.user_data.name, "sha256": digest_user_data(plan.user_data)}
        if plan.user_data
        else None,
        "image_name": plan.image_name,
        "warnings": list(plan.warnings),
        "expected": [asdict(line) for line in plan.expected],
        "steps": [asdict(step) for step in plan.steps],
    }
    return dump_json(portable(data, plan.directories), indent=2, sort_keys=True) + "\n"


def render_table(
    plan: Plan,
    foreseen: Mapping[str, str] = MappingProxyType({}),
    supply: Mapping[str, str] = MappingProxyType({}),
) -> RenderableType:
    """Return the plan as tables: facts, stages, slots, blobs, packages and archives.

    foreseen  state of each stage's product in the cache, by name
    supply    archive of each package of the board's last build
    """
    tables = [
        _facts(plan),
        _stages(plan, foreseen),
        _slots(plan),
        _blobs(plan),
        _packages(plan),
        _archives(plan, supply),
    ]
    lines: list[RenderableType] = []
    for table in tables:
        if table.row_count:
            # A separate heading, because rich wraps a table's title to the table's width.
            lines += [Text(""), Text(str(table.title), style="bold"), table]
            table.title = None
    return Group(*lines[1:])


def _table(title: str, *columns: str, numbers: tuple[str, ...] = ()) -> TextTable:
    table = TextTable(title=title)
    for column in columns:
        justify: JustifyMethod = "right" if column in numbers else "left"
        table.add_column(column, justify=justify, overflow="fold", header_style="dim")
    return table


def _facts(plan: Plan) -> TextTable:
    recipe = plan.recipe
    table = _table(f"{plan.board}: {recipe.title}", "", "")
    table.show_header = False
    facts = {
        "version": plan.version,
        "architecture": recipe.architecture.value,
        "suite": recipe.suite,
        "features": ", ".join(recipe.features) or "none",
        "docker": _docker(plan),
        "hostname": recipe.hostname,
        "users": ", ".join(recipe.users) or "none",
        "locale, time zone": f"{recipe.locale}, {recipe.timezone}",
        "boot": recipe.boot.method,
        "kernel command line": plan.kernel_cmdline,
        "user-data": plan.user_data.name if plan.user_data else "the documented example",
        "recipe from": ", ".join(f"{directory.name}/board.yaml" for directory in plan.directories),
        "newest file": f"{plan.epoch} (SOURCE_DATE_EPOCH)",
        "image": plan.image_name,
        "artefact": f"{plan.image_name}.zst, or the compression asked for, with .sha256",
        "package list": f"{plan.image_name.removesuffix('.img')}.packages",
    }
    for name, value in facts.items():
        table.add_row(Text(name, style="dim"), value)
    return table


def _docker(plan: Plan) -> str:
    docker = plan.recipe.docker
    texts = {"none": "none", "debian": f"Debian's, of {plan.recipe.suite}"}
    return texts.get(docker.source, f"Docker's own, {docker.channel}, {docker.version or 'newest'}")


def _stages(plan: Plan, foreseen: Mapping[str, str]) -> TextTable:
    known = any(foreseen.values())
    table = _table("Stages", "stage", "key", "makes", *(["cache"] if known else []))
    for step in plan.steps:
        notes = [foreseen.get(step.name, "")] if known else []
        table.add_row(step.name, step.key[:12], step.summary, *notes)
    return table


def _slots(plan: Plan) -> TextTable:
    disk = plan.disk
    length = find_disk_sectors(disk)
    total = f"{length} sectors" if length else "as long as its content needs"
    numbers = ("#", "start", "end", "sectors")
    columns = ("#", "name", "filesystem", "start", "end", "sectors", "size", "mount", "label", "PARTUUID", "id")
    table = _table(f"Disk: {disk.type} {disk.id}, {total}", *columns, numbers=numbers)
    for slot in disk.slots:
        end = "" if slot.sectors is None else str(slot.start_sector + slot.sectors - 1)
        sectors = "" if slot.sectors is None else str(slot.sectors)
        size = render_slot_size(slot)
        names = (slot.mount, slot.label, slot.partuuid, slot.fs_id)
        table.add_row(
            str(slot.number), slot.name, slot.filesystem.value, str(slot.start_sector), end, sectors, size, *names
        )
    return table


def render_slot_size(slot: Slot) -> str:
    """Return the size to show: "512 MiB", or "auto: content + 256 MiB"."""
    if slot.sectors is None:
        return f"auto: content + {render_size(slot.margin_bytes)}"
    return render_size(slot.sectors * SECTOR)


def _blobs(plan: Plan) -> TextTable:
    table = _table("Boot blobs", "name", "offset", "end", "written", "from", numbers=("offset", "end"))
    for blob in plan.disk.blobs:
        location = str(portable(blob.location, plan.directories))
        end = blob.offset_bytes + blob.limit_bytes
        table.add_row(blob.name, str(blob.offset_bytes), str(end), _written(blob), f"{blob.source} {location}")
    return table


def _written(blob: BlobPlan) -> str:
    holes = ", ".join(f"{start}-{end - 1}" for start, end in blob.holes)
    return f"all but its bytes {holes}" if holes else "all"


def _packages(plan: Plan) -> TextTable:
    debs = plan.packages.debs
    files = f" and {len(debs)} as files" if debs else ""
    table = _table(f"Packages asked: {len(plan.packages.names)}{files}", "group", "packages")
    for group in find_groups(plan.recipe):
        table.add_row(group.name, " ".join(group.packages))
    for deb in debs:
        table.add_row("file", str(portable(deb.location, plan.directories)))
    return table


FEW = 20
"""Most packages of an archive that the table names one by one."""


def _archives(plan: Plan, supply: Mapping[str, str]) -> TextTable:
    known = ["packages of the last build"] if supply else []
    pinned = ["pin"] if any(archive.pin is not None for archive in plan.recipe.archives.values()) else []
    table = _table("Archives", "name", "address", "suites", "components", "key", *pinned, *known)
    for name, archive in plan.recipe.archives.items():
        key = archive.key.fingerprint or str(portable(archive.key.file, plan.directories))
        texts = [name, archive.url, " ".join(archive.suites), " ".join(archive.components), key]
        texts += ["" if archive.pin is None else str(archive.pin)] if pinned else []
        table.add_row(*texts, *([_supplied(name, supply)] if supply else []))
    return table


def _supplied(archive: str, supply: Mapping[str, str]) -> str:
    names = [package for package, source in supply.items() if source == archive]
    return f"{len(names)}: {' '.join(names)}" if 0 < len(names) <= FEW else str(len(names))
