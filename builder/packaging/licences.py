# SPDX-License-Identifier: MIT
"""Translate licences in Debian's machine-readable copyright files to SPDX expressions; "" if uncertain.

Such a file describes the source package. Only names with the same meaning in both systems are translated
(www.debian.org/doc/packaging-manuals/copyright-format/1.0, section 7.1). One unknown name makes the result "".
"""

from __future__ import annotations

import logging
import re
from typing import cast

from debian.copyright import Copyright, Error, License

logging.getLogger("debian.copyright").setLevel(logging.ERROR)  # It warns about http:// in URLs.

_GNU = {
    f"{short}-{debian}{plus}": f"{short}-{spdx}-{'or-later' if plus else 'only'}"
    for short, versions in {
        "GPL": {"1": "1.0", "2": "2.0", "2.0": "2.0", "3": "3.0", "3.0": "3.0"},
        "LGPL": {"2": "2.0", "2.0": "2.0", "2.1": "2.1", "3": "3.0", "3.0": "3.0"},
        "AGPL": {"3": "3.0", "3.0": "3.0"},
    }.items()
    for debian, spdx in versions.items()
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
NAMES = {debian.casefold(): spdx for debian, spdx in {**_GNU, **{name: name for name in _SAME}, **_OTHER}.items()}
"""SPDX names by Debian names in lower case."""


def find_licence(text: str) -> str:
    """Return the SPDX expression of a copyright file, or ""."""
    if not text.startswith("Format:"):
        return ""
    try:
        paragraphs = Copyright(text.splitlines(keepends=True), strict=False).all_files_paragraphs()
        licences = [cast(License | None, paragraph.license) for paragraph in paragraphs]  # Its type lacks None.
    except (Error, ValueError, TypeError):  # Written by hand, with errors.
        return ""
    parts = {_translate(licence.synopsis or "") if licence else "" for licence in licences}
    if not parts or "" in parts:
        return ""
    ordered = sorted(parts)
    return ordered[0] if len(ordered) == 1 else " AND ".join(f"({part})" if " " in part else part for part in ordered)


def _translate(synopsis: str) -> str:
    """Return an SPDX expression for a text such as "GPL-2+ or Artistic"; "" if a part is unknown."""
    tokens = re.split(r"\s+(or|and)\s+", synopsis.strip())
    parts = [token.upper() if index % 2 else NAMES.get(token.casefold(), "") for index, token in enumerate(tokens)]
    return " ".join(parts) if all(parts) else ""
