# SPDX-License-Identifier: MIT
"""Write the partition table with sfdisk, from a script with all numbers explicit.

The table is written after the boot blobs. sfdisk keeps the boot code (bytes 0 to 439) and writes everything from the
disk signature on. So a blob that overlaps the signature (ODROID's bl1 does) cannot damage the table.
"""

from __future__ import annotations

from pathlib import Path

from builder.disk.partitions import DiskTable, read_table
from builder.errors import VerifyError
from builder.filesystems.target import slot_sectors
from builder.plan.model import Disk, Slot
from builder.system.process import run
from builder.units import MIB, SECTOR, align_up

GPT_SECTORS = 33
"""The second table of a GPT: 32 sectors of entries and its header, at the end of the disk."""


def disk_bytes(disk: Disk) -> int:
    """Return the size of the image file: the end of its content, rounded up to a MiB."""
    ends = [(slot.start_sector + slot_sectors(slot)) * SECTOR for slot in disk.slots]
    ends += [blob.offset_bytes + blob.limit_bytes for blob in disk.blobs]
    return align_up(max(ends) + (GPT_SECTORS * SECTOR if disk.type == "gpt" else 0), MIB)


def write_table(disk: Disk, image: Path, log_file: Path) -> None:
    """Write the table into the image file, which must have its final size."""
    run(
        [
            "sfdisk",
            "--no-reread",
            "--no-tell-kernel",
            # A blob may look like a filesystem; sfdisk must not erase it.
            "--wipe=never",
            "--wipe-partitions=never",
            image,
        ],
        stdin=render_table(disk).encode(),
        log_file=log_file,
    )


def render_table(disk: Disk) -> str:
    """Return the sfdisk script of a disk."""
    lines = [
        f"label: {'dos' if disk.type == 'mbr' else 'gpt'}",
        f"label-id: {'0x' if disk.type == 'mbr' else ''}{disk.id}",
        "unit: sectors",
        # By default sfdisk refuses partitions before 1 MiB.
        *(["first-lba: 34"] if disk.type == "gpt" else []),
        "",
        *(_render_slot(disk, slot) for slot in disk.slots),
    ]
    return "\n".join(lines) + "\n"


def _render_slot(disk: Disk, slot: Slot) -> str:
    fields = [f"start={slot.start_sector}", f"size={slot_sectors(slot)}", f"type={slot.type_code}"]
    if disk.type == "gpt":
        fields += [f"uuid={slot.partuuid}", f'name="{slot.name}"']
        fields += ['attrs="LegacyBIOSBootable"'] if slot.bootable else []
    elif slot.bootable:
        fields.append("bootable")
    return f"{slot.number} : {', '.join(fields)}"


def check_table(disk: Disk, image: Path) -> None:
    """Raise VerifyError unless the table is sound and says what the disk says."""
    sound = run(["sfdisk", "--verify", image], ok=(0, 1))
    # A damaged copy of a GPT is a mere warning of sfdisk, which would repair it; here it should be whole.
    if sound.code != 0 or "No errors detected" not in sound.stdout or sound.stderr:
        raise VerifyError(f"sfdisk finds the partition table damaged:\n{(sound.stdout + sound.stderr).strip()}")
    actual, planned = _read_facts(read_table(image)), _planned_facts(disk)
    wrong = [
        f"{name}: found {actual.get(name)}; expected {planned.get(name)}"
        for name in sorted(planned.keys() | actual.keys())
        if planned.get(name) != actual.get(name)
    ]
    if wrong:
        raise VerifyError("the partition table differs from the plan:\n" + "\n".join(f"  {text}" for text in wrong))


def _planned_facts(disk: Disk) -> dict[str, object]:
    facts: dict[str, object] = {"label": disk.type, "id": disk.id.lower()}
    for slot in disk.slots:
        facts |= {
            f"{slot.number} start": slot.start_sector,
            f"{slot.number} size": slot_sectors(slot),
            f"{slot.number} type": _type(disk, slot.type_code),
            f"{slot.number} bootable": slot.bootable,
        }
        if disk.type == "gpt":
            facts |= {f"{slot.number} uuid": slot.partuuid.lower(), f"{slot.number} name": slot.name}
    return facts


def _read_facts(table: DiskTable) -> dict[str, object]:
    facts: dict[str, object] = {"label": table.type, "id": table.id}
    for row in table.partitions:
        facts |= {
            f"{row.number} start": row.start_sector,
            f"{row.number} size": row.sectors,
            f"{row.number} type": row.type_code,
            f"{row.number} bootable": row.bootable,
        }
        if table.type == "gpt":
            facts |= {f"{row.number} uuid": row.partuuid, f"{row.number} name": row.name}
    return facts


def _type(disk: Disk, code: str) -> str:
    return code.lower() if disk.type == "gpt" else f"{int(code, 16):02x}"
