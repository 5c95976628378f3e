# SPDX-License-Identifier: MIT
"""Images of one name with different content: the newer replaces the earlier, with its reports, after a note.

Reports are named after the image without its compression, and describe the disk in it. So images of one name in a
directory, in whatever compression, are of the same disk, or a report would lie beside an image it does not describe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from builder import log
from builder.artefact.build_record import SUFFIX as RECORD
from builder.compression import IMAGE_SUFFIXES
from builder.system.files import InputError, load_json, read_text

REPORTS = (".packages", ".specs.json", ".specs.xml", RECORD)


def remove_earlier(output: Path, names: Iterable[str], arriving: Path) -> None:
    """Remove from `output` what an earlier build of another disk left under the same name; say which image goes.

    names     the files of the new build
    arriving  directory of those that are not in `output` yet
    """
    known = set(names)
    found = next(((name, suffix) for name in known for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), None)
    if found is None:
        return
    image, stem = found[0], found[0].removesuffix(found[1])
    record = f"{stem}{RECORD}"
    disk = _read_disk(arriving / record) or (_read_disk(output / record) if record in known else "")
    if disk and disk == _read_disk(output / record):
        return
    kept = {name for name in known if not (arriving / name).exists()}
    for suffix in IMAGE_SUFFIXES:
        _remove_image(output / f"{stem}{suffix}", image=image, kept=kept)
    for suffix in REPORTS:
        if f"{stem}{suffix}" not in kept:
            (output / f"{stem}{suffix}").unlink(missing_ok=True)


def _remove_image(path: Path, *, image: str, kept: set[str]) -> None:
    digest = path.with_name(f"{path.name}.sha256")
    if path.is_file() and path.name not in kept:
        known_as = f" (sha256 {_read_sum(digest)}…)" if _read_sum(digest) else ""
        verb = "replacing" if path.name == image else "removing"
        log.note(f"{verb} {path}{known_as} and its reports: the image of an earlier build, with other content")
        digest.unlink(missing_ok=True)  # First: where a digest is, the rest is complete.
        path.unlink()
    elif digest.name not in kept:
        digest.unlink(missing_ok=True)


def _read_sum(path: Path) -> str:
    """Return the first digits of the digest in a file of sha256sum, or ""."""
    try:
        found = re.match(r"[0-9a-f]{8}", read_text(path))
    except InputError:
        return ""
    return found[0] if found else ""


def _read_disk(record: Path) -> str:
    """Return the digest of the disk that a record describes, or "" where there is none."""
    try:
        return str(load_json(read_text(record))["image_sha256"])
    except (InputError, ValueError, KeyError, TypeError):
        return ""
