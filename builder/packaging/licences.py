# SPDX-License-Identifier: MIT
"""Licences as Debian's machine-readable copyright files say them, in SPDX's words; nothing where that is not sure.

Such a file is about the source package. Only names whose meaning is the same in both worlds are translated
(www.debian.org/doc/packaging-manuals/copyright-format/1.0, section 7.1); one that is not, and nothing is said.
"""

from __future__ import annotations

import logging
import re
from typing import cast

from debian.copyright import Copyright, Error, License

logging.getLogger("debian.copyright").setLevel(logging.ERROR)  # It warns of http:// in an address.

_GNU = {
    f"{short}-{said}{plus}": f"{short}-{meant}-{'or-later' if plus else 'only'}"
    for short, versions in {
        "GPL": {"1": "1.0", "2": "2.0", "2.0": "2.0", "3": "3.0", "3.0": "3.0"},
        "LGPL": {"2": "2.0", "2.0": "2.0", "2.1": "2.1", "3": "3.0", "3.0": "3.0"},
        "AGPL": {"3": "3.0", "3.0": "3.0"},
    }.items()
    for said, meant in versions.items()
    for plus in ("", "+")
}
_SAME = (
    *("0BSD", "Apache-2.0", "Beerware", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "BSL-1.0", "CC0-1.0", "curl"),
    *("FSFAP", "FSFULLR", "ISC", "MIT", "MPL-1.1", "MPL-2.0", "OFL-1.1", "Unicode-DFS-2016", "X11", "Zlib"),
)
_OTHER = {
    "Apache-2": "Apache-2.0",
    "Artistic": "Artistic-1.0-Perl",  # The text of Debian's /usr/share/common-licenses/Artistic.
    "Expat": "MIT",
    "GFDL-NIV-1.3": "GFDL-1.3-no-invariants-only",
    "GFDL-NIV-1.3+": "GFDL-1.3-no-invariants-or-later",
    "OpenLDAP-2.8": "OLDAP-2.8",
}
NAMES = {said.casefold(): meant for said, meant in {**_GNU, **{name: name for name in _SAME}, **_OTHER}.items()}
"""SPDX's names by Debian's, in lower case."""


def find_licence(text: str) -> str:
    """Return the SPDX expression of a copyright file, or nothing."""
    if not text.startswith("Format:"):
        return ""
    try:
        paragraphs = Copyright(text.splitlines(keepends=True), strict=False).all_files_paragraphs()
        licences = [cast(License | None, paragraph.license) for paragraph in paragraphs]  # Its type says otherwise.
    except (Error, ValueError, TypeError):  # Written by hand, and not by the rules.
        return ""
    parts = {_translate(licence.synopsis or "") if licence else "" for licence in licences}
    if not parts or "" in parts:
        return ""
    ordered = sorted(parts)
    return ordered[0] if len(ordered) == 1 else " AND ".join(f"({each})" if " " in each else each for each in ordered)


def _translate(synopsis: str) -> str:
    """Return "GPL-2+ or Artistic" in SPDX's words; nothing when a part of it is unknown."""
    words = re.split(r"\s+(or|and)\s+", synopsis.strip())
    parts = [word.upper() if number % 2 else NAMES.get(word.casefold(), "") for number, word in enumerate(words)]
    return " ".join(parts) if all(parts) else ""
