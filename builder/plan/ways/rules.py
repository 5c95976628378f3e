# SPDX-License-Identifier: MIT
"""Check rules of systemd, udev and the kernel that can make root run a command or change files that grant access.

Each function returns whether the content of a file may grant access. It raises ValueError if it cannot read the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from builder.plan.ways.places import may_be_laid
from builder.plan.ways.plain import list_lines


def tmpfiles_let_in(content: bytes) -> bool:
    """Check tmpfiles.d(5): TYPE PATH MODE USER GROUP AGE ARGUMENT."""
    rows = [line.split() for line in list_lines(content)]
    return not all(
        re.fullmatch("[A-Za-z][^\"'%\\\\]*", row[0]) and all(map(_is_harmless_path, row[1:2])) for row in rows
    )


def _is_harmless_path(path: str) -> bool:
    path = re.sub("^%[tSCLTV]", lambda match: _SPECIFIERS[match[0]], path)
    if "/." in path:
        return False
    if path.startswith(("/sys/class/", "/sys/devices/", "/sys/bus/", "/sys/block/")):
        return True  # LEDs, clocks, pins.
    # For a pattern, the directory of all matches is checked.
    return may_be_laid(path[: star.start()].rpartition("/")[0] if (star := re.search(r"[*?\[]", path)) else path)


_SPECIFIERS = {"%t": "/run", "%S": "/var/lib", "%C": "/var/cache", "%L": "/var/log", "%T": "/tmp", "%V": "/var/tmp"}  # noqa: S108 - of the image

_SYSUSER = re.compile(
    r"[ug]!?\s+[A-Za-z0-9_-]+(\s+(-|[1-9][0-9]*)"
    r"(\s+(-|\"[^\"\\%]*\"|'[^'\\%]*'|[^\s\"'\\%]+)(\s+(-|/[A-Za-z0-9_./-]*)(\s+(-|/usr/sbin/nologin|/(usr/)?bin/false))?)?)?)?"
    r"|r\s+-\s+[1-9][0-9]*-[1-9][0-9]*"
    r"|m\s+[A-Za-z0-9_-]+\s+(audio|video|render|input|plugdev|dialout|gpio|i2c|spi|netdev|bluetooth|cdrom|users|tty)"
)


def sysusers_let_in(content: bytes) -> bool:
    """Check sysusers.d(5): a harmless user has no shell and an id other than 0."""
    return not all(map(_SYSUSER.fullmatch, list_lines(content)))


_UDEV_KEYS = re.compile(
    r"(ACTION|DEVPATH|KERNELS?|NAME|SYMLINK|SUBSYSTEMS?|DRIVERS?|ATTRS?\{(?!.*\.\.)[^}]+\}|ENV\{(?!SYSTEMD_|.*CMD)[^}]+\}"
    r"|TAGS?|TEST(\{[0-7]+\})?|OWNER|GROUP|MODE|OPTIONS|LABEL|GOTO|CONST\{\w+\}|IMPORT\{(builtin|db|parent)\})"
)
_UDEV_TOKEN = re.compile(r'[\s,]*([A-Z]+(?:\{[^}"]*\})?)\s*([=!]=|[-+:]?=)\s*i?"([^"\\]*)"')
_UDEV_SUBSYSTEMS = frozenset(
    [
        *(
            "gpio",
            "bcm2835-gpiomem",
            "i2c",
            "i2c-dev",
            "spi",
            "spidev",
            "tty",
            "pwm",
            "leds",
            "backlight",
            "iio",
            "rtc",
        ),
        *("video4linux", "media", "drm", "graphics", "sound", "input", "hidraw", "lirc", "cec", "dvb", "dma_heap"),
        *("vchiq", "watchdog", "pps", "ptp", "hwmon", "thermal", "rfkill", "bluetooth", "net", "usbmisc"),
    ]
)
_UDEV_NAMES = re.compile(
    r"(ttyUSB|ttyACM|ttyAMA|ttyS|i2c-|spidev|gpio|video|media|event|js|hidraw|rtc|pps|lirc|cec|watchdog|vchiq|vcio|fb)"
    r"[0-9a-z.*?\[\]-]*"
)
"""Devices that cannot make a user root. Access to a disk, to the memory or to any USB device can."""


def udev_lets_in(content: bytes) -> bool:
    """udev(7): keys that name devices, and give away those that are no disk and no memory; RUN, PROGRAM and IMPORT of
    programs run one."""
    return not all(map(_is_udev_rule, list_lines(content, joins=True)))


def _is_udev_rule(line: str) -> bool:
    at, line = 0, line.rstrip(" \t,")
    if ".." in line:
        return False
    gives, wanted = False, dict[str, str]()
    while at < len(line):
        token = _UDEV_TOKEN.match(line, at)
        if token is None or not _UDEV_KEYS.fullmatch(token[1]):
            return False
        gives |= token[1] in ("MODE", "OWNER", "GROUP") and token[2] not in ("==", "!=")
        if token[2] == "==":
            wanted[token[1]] = token[3]
        at = token.end()
    return not gives or _are_of_no_disk(wanted)


def _are_of_no_disk(wanted: Mapping[str, str]) -> bool:
    """Return whether a rule is only for devices that cannot make a user root."""
    subsystems, names = wanted.get("SUBSYSTEM", "").split("|"), wanted.get("KERNEL", "").split("|")
    if subsystems == ["usb"]:  # Of one maker: not each disk.
        return any(re.fullmatch("[0-9a-f]{4}", wanted.get(f"{key}{{idVendor}}", "")) for key in ("ATTR", "ATTRS"))
    return _UDEV_SUBSYSTEMS.issuperset(subsystems) or all(map(_UDEV_NAMES.fullmatch, names))


def hwdb_lets_in(content: bytes) -> bool:
    """Check hwdb(7): some properties make systemd start units (systemd.device(5)), or udev commands (REMOVE_CMD)."""
    return re.search(b"SYSTEMD_|CMD|PROGRAM", content.upper()) is not None


def network_lets_in(content: bytes) -> bool:
    """systemd.network(5), systemd.link(5): properties of devices, of which some start units."""
    # A comment goes on in no line but its own here: what another may take for its end, list_lines refuses.
    return any("property" in line.lower() for line in list_lines(content, ("#", ";"), joins=True))


_MODPROBE = re.compile(
    r"(alias|blacklist|options(?!\s+\"?(e?kgdb|kdb))|softdep|weakdep)\s.*|(install|remove)\s+\S+\s+(/usr)?/bin/(true|false)\s*"
)


def modprobe_lets_in(content: bytes) -> bool:
    """Check modprobe.d(5): `install` and `remove` run a command; /bin/true and /bin/false only turn a module off."""
    return not all(map(_MODPROBE.fullmatch, list_lines(content, joins=True)))


_RUN_BY_KERNEL = tuple(
    name.split(".")
    for name in (
        *("kernel.core_pattern", "kernel.modprobe", "kernel.hotplug", "kernel.poweroff_cmd"),
        *("kernel.usermodehelper.*", "fs.binfmt_misc.*"),
    )
)
_CORE = re.compile(r"/(var/(crash|cores?|log|tmp)|srv|mnt|home|tmp)/(?!\.)([\w.%-]+/(?!\.))*[\w.%-]+|[\w.%-]*")


def sysctl_lets_in(content: bytes) -> bool:
    """Check sysctl.d(5): some values name a program that the kernel starts."""
    rows = (line.partition("=") for line in list_lines(content, ("#", ";")))
    return any(_names_program(key.strip().lstrip("-").replace("/", "."), value.strip()) for key, _, value in rows)


def _names_program(key: str, value: str) -> bool:
    parts = key.removeprefix(".").removeprefix("proc.sys.").split(".")
    if parts == ["kernel", "core_pattern"] and _CORE.fullmatch(value):
        return False
    # Of patterns only a whole part is read here, which is how a network card is left open; others need a line.
    is_odd = any(not part or (part != "*" and re.search(r"[^\w@:-]", part)) for part in parts)
    return is_odd or any(_fits(parts, name) for name in _RUN_BY_KERNEL)


def _fits(parts: list[str], name: list[str]) -> bool:
    return len(parts) == len(name) and all("*" in pair or pair[0] == pair[1] for pair in zip(parts, name, strict=True))


_SHELL_NAMES = (
    *("debug-shell.service", "console-shell.service", "container-shell@.service", "rescue.service", "rescue.target"),
    *("emergency.service", "emergency.target", "runlevel1.target", "breakpoint-pre-basic.service"),
)
"""Units that give a root shell."""
_PATTERN = re.compile(r"[A-Za-z0-9_.@:*-]{1,250}")
"""Names with * in them. Long ones are slow to compare, and programs read [^x] in two ways."""
MOST_PATTERNS = 1000


def preset_lets_in(content: bytes) -> bool:
    """Check systemd.preset(5): a preset must not enable a unit that gives a root shell."""
    rows = [line.split() for line in list_lines(content, ("#", ";"))]
    patterns = {row[1] for row in rows if len(row) > 1 and row[0] == "enable"}
    if len(patterns) > MOST_PATTERNS or not all(map(_PATTERN.fullmatch, patterns)):
        return True
    return any(fnmatchcase(name, pattern) for name in _SHELL_NAMES for pattern in patterns)
