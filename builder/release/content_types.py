# SPDX-License-Identifier: MIT
"""HTTP headers of published files: media types, and how long they may be cached."""

from __future__ import annotations

from builder.compression import Compression

TYPES = {
    ".asc": "text/plain; charset=utf-8",
    ".bmap": "application/xml",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".minisig": "text/plain; charset=utf-8",
    ".packages": "text/plain; charset=utf-8",
    ".rpi-imager-manifest": "application/json",
    ".sha256": "text/plain; charset=utf-8",
    ".SHA256SUMS": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
    **{compression.row.suffix: compression.row.media_type for compression in Compression if compression.row.suffix},
}
"""Media types by suffix; registered at IANA where possible."""

LASTING = "public, max-age=31536000, immutable"
"""Cache-Control of files that never change (RFC 8246)."""
MOVING = "public, max-age=60, must-revalidate"
"""Cache-Control of files that the next release changes."""


def type_of(name: str) -> str:
    """Return the media type of a file by its name."""
    return TYPES.get(name[name.rfind(".") :] if "." in name else "", "application/octet-stream")
