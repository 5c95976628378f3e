# SPDX-License-Identifier: MIT
"""Types of the values in recipes: names, sizes, digests, URLs.

Every text of a recipe has one of these types: a pattern, and a description of it for error messages. No type allows
control characters, or characters that change the reading direction. Only `Lines` may have several lines.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from builder.units import SIZE, load_size

ALLOWED: dict[str, str] = {}
"""Description of each pattern, for messages: it follows "expected"."""
HIDDEN = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Control characters, and characters that change the reading direction or break a line."""
LINES = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
"""Text without the characters of HIDDEN, except tabs and line breaks."""


def text(pattern: str, allowed: str, *, max_length: int = 255) -> Any:
    """Return the Field of a text type: its pattern, the description of that, its maximum length."""
    if ALLOWED.setdefault(pattern, allowed) != allowed:
        raise ValueError(f"{pattern}: found a second description; expected {ALLOWED[pattern]!r}")
    return Field(pattern=pattern, max_length=max_length)


class FrozenModel(BaseModel):
    """Base of models that files are read into: no unknown keys, no silent conversion, no change after loading."""

    # defer_build: most commands use few of the models.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, defer_build=True)


def _check_size(text: str) -> str:
    load_size(text)
    return text


Size = Annotated[
    str,
    AfterValidator(_check_size),
    Field(examples=["512MiB", "8KiB", "16s"], json_schema_extra={"pattern": f"^ *{SIZE.pattern} *$"}),
]
BoardName = Annotated[str, text(r"^_?[a-z0-9][a-z0-9-]*$", "the name of a board")]
Word = Annotated[str, text(r"^[a-z0-9][a-z0-9-]*$", "lower-case letters, digits and hyphens")]
Prose = Annotated[
    str,
    text(rf"^[^{HIDDEN}]*$", "text on one line", max_length=500),
]
Lines = Annotated[str, text(LINES, "lines of text", max_length=16384)]

Hostname = Annotated[
    str, text(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "lower-case letters, digits and inner hyphens, at most 63")
]
UserName = Annotated[
    str, text(r"^[a-z_][a-z0-9_-]{0,31}$", "a lower-case name of letters, digits, _ and -, at most 32")
]
Shell = Annotated[str, text(r"^(/[A-Za-z0-9_][A-Za-z0-9._+-]*)+$", "an absolute path, for example /usr/bin/zsh")]
Gecos = Annotated[str, text(rf"^[^:{HIDDEN}]*$", "text without a colon and on one line")]
Locale = Annotated[
    str,
    text(r"^(C|[a-z]{2,3}(_[A-Z]{2})?)\.UTF-8$", "C.UTF-8 or language_COUNTRY.UTF-8, for example en_GB.UTF-8"),
]
TimeZone = Annotated[str, text(r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$", "Area/City, for example Europe/Berlin")]
UnitName = Annotated[
    str,
    text(
        r"^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*"
        r"\.(service|socket|timer|target|mount|automount|swap|path|slice|scope|device)$",
        "the name of a systemd unit with its suffix, for example ssh.service",
    ),
]
ImagerName = Annotated[
    str,
    text(r"^[a-z0-9]+(-[a-z0-9]+)*$", "a name of hardware as Raspberry Pi Imager writes it, for example pi4-64bit"),
]

ArchiveName = Annotated[str, text(r"^[a-z0-9][a-z0-9_-]{0,63}$", "lower-case letters, digits, _ and -, at most 64")]
SystemSuite = Annotated[str, text(r"^[a-z][a-z0-9-]*$", "lower-case letters, digits and hyphens, for example trixie")]
Suite = Annotated[
    str,
    text(
        r"^[A-Za-z0-9][A-Za-z0-9._~+-]*(/[A-Za-z0-9][A-Za-z0-9._~+-]*)*$",
        "the name of a suite of this archive, for example trixie-backports",
    ),
]
Component = Annotated[
    str,
    text(
        r"^[A-Za-z0-9][A-Za-z0-9.~+-]*(/[A-Za-z0-9][A-Za-z0-9.~+-]*)*$",
        "the name of a component of this archive, for example main",
    ),
]
GroupName = Annotated[
    str,
    text(
        r"^[a-z0-9][a-z0-9_-]*(@[a-z][a-z0-9-]*)?$",
        "a lower-case name of letters, digits, _ and -, with @SUITE for one suite only",
    ),
]
PackageName = Annotated[
    str,
    text(
        r"^[a-z0-9][a-z0-9+.-]+(/[a-z0-9-]+)?$",
        "a Debian package name, with /suite where it comes from another suite",
    ),
]
"""A Debian package, optionally with the suite to take it from: linux-image-arm64/trixie-backports."""
DebianVersion = Annotated[
    str,
    text(r"^([0-9]+:)?[0-9][A-Za-z0-9.+~-]*$", "a package's version, for example 5:28.5.1-1~debian.13~trixie"),
]

Sha256 = Annotated[str, text(r"^[0-9a-f]{64}$", "64 hex digits in lower case")]
Fingerprint = Annotated[
    str, text(r"^([0-9A-F]{4} ?){10}$", "40 hex digits in upper case, in groups of four if you like")
]
Url = Annotated[
    str,
    text(
        r"^https?://[A-Za-z0-9._:\[\]-]+([/?#][!-~]*)?$",
        "an http:// or https:// URL, without user and password",
        max_length=2048,
    ),
]
"""A URL without user and password: recipes are copied into images and build records."""

RelativePath = Annotated[str, text(r"^[^\x00-\x1f\x7f]+$", "a path below the board's directory", max_length=4096)]
"""A path relative to a directory; builder.recipe.files checks that it stays inside."""
TreePath = Annotated[
    str,
    text(
        r"^[A-Za-z0-9_][A-Za-z0-9._+,@~-]*(/[A-Za-z0-9_][A-Za-z0-9._+,@~-]*)*$",
        "a relative path without . and .., for example usr/lib/u-boot/qemu_arm/u-boot.bin",
    ),
]
"""A file of an image, relative to its root or to the directory that its key names."""
MountPoint = Annotated[
    str,
    text(
        r"^/([a-z0-9_][a-z0-9._-]*(/[a-z0-9_][a-z0-9._-]*)*)?$",
        "an absolute path of lower-case names, for example /boot/firmware",
    ),
]
MountOptions = Annotated[
    str,
    text(
        r"^[A-Za-z0-9._=:/@%+-]+(,[A-Za-z0-9._=:/@%+-]+)*$",
        "mount options, with commas and without spaces, for example defaults,noatime",
    ),
]
PartitionName = Annotated[
    str, text(r"^[a-z][a-z0-9-]{0,15}$", "at most 16 lower-case letters, digits and hyphens, a letter first")
]
Label = Annotated[str, text(r"^[A-Za-z0-9_-]{1,16}$", "at most 16 letters, digits, _ and -")]
DiskIdEnd = Annotated[str, text(r"^[0-9a-f]{4}$", 'four lower-case hex digits in quotes, for example "de21"')]

KernelWords = Annotated[
    str,
    text(
        r"^[A-Za-z0-9 \n!#%&()*+,./:;<=>?@^_{|}~\[\]-]*$",
        "kernel parameters, without quotes, $ and \\, which shells on the board would read",
        max_length=2048,
    ),
]
FileName = Annotated[str, text(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "the name of a file, without a directory")]
Address = Annotated[str, text(r"^0x[0-9a-f]{1,16}$", 'a lower-case hex number in quotes, for example "0x00208000"')]
Machine = Annotated[str, text(r"^[a-zA-Z0-9][A-Za-z0-9._-]*$", "the name of a QEMU machine, for example virt")]
Cpu = Annotated[
    str,
    text(
        r"^[A-Za-z0-9][A-Za-z0-9._-]*(,[a-z0-9-]+=[A-Za-z0-9._-]+)*$",
        "a CPU model of QEMU, with properties if needed, for example cortex-a7,cntfrq=24000000",
    ),
]
Console = Annotated[str, text(r"^tty[A-Z]+[0-9]+$", "a serial console of Linux, for example ttyS0")]

SystemPath = Annotated[
    str, text(r"^/[^\x00-\x1f\x7f]*$", "an absolute path, for example /usr/bin/nano", max_length=4096)
]
AccessName = Annotated[
    str,
    text(r"^(/[^\x00-\x1f\x7f]*|[!-.0-~][!-~]*)$", "an absolute path, or a kernel parameter", max_length=4096),
]
FstabSource = Annotated[
    str, text(r"^[^\s\x00-\x1f\x7f]+$", "the first field of a line of fstab, for example /swapfile")
]
Port = Annotated[str, text(r"^(tcp|udp)/[1-9][0-9]{0,4}$", "tcp/ or udp/ and a port, for example tcp/80")]
Version = Annotated[
    str, text(r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$", "at most 100 letters, digits and . _ + -, a letter or digit first")
]
"""Version of an image, or the tag of a release."""
PlainName = Annotated[
    str, text(r"^[A-Za-z0-9][A-Za-z0-9._+~-]*$", "letters, digits and . _ + ~ -, a letter or digit first")
]
"""A file that is published with an image, in one flat directory."""
AnyText = Annotated[str, text(r"^[\s\S]*$", "text", max_length=1 << 20)]
"""Any text; it is only shown, through builder.text."""
Why = Annotated[str, text(rf"^[^{HIDDEN}]+$", "a reason, on one line", max_length=500)]
"""A reason, for readers of the recipe and the report."""
