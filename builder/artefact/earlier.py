# SPDX-License-Identifier: MIT
"""Remove the image and the reports of an earlier build with the same name and another disk; a note names the image.

Reports are named after the image without its compression, and describe the disk in it. So all images of one name in a
directory must contain the same disk, in any compression. Otherwise a report would describe another image.
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
    """Remove files of an earlier build of another disk with the same name from `output`; log which image is removed.

    names     the files of the new build
    arriving  directory of the new files that are not in `output` yet
    """
    known = set(names)
    named = next(((name, suffix) for name in known for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), None)
    if named is None:
        return
    image, stem = named[0], named[0].removesuffix(named[1])
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
        digest.unlink(missing_ok=True)  # First, because a digest file means that the rest is complete.
        path.unlink()
    elif digest.name not in kept:
        digest.unlink(missing_ok=True)


def _read_sum(path: Path) -> str:
    """Return the first digits of the digest in a sha256sum file, or ""."""
    try:
        digits = re.match(r"[0-9a-f]{8}", read_text(path))
    except InputError:
        return ""
    return digits[0] if digits else ""


def _read_disk(record: Path) -> str:
    """Return the digest of the disk that a record describes; "" without a valid record."""
    try:
        return str(load_json(read_text(record))["image_sha256"])
    except (InputError, ValueError, KeyError, TypeError):
        return ""
