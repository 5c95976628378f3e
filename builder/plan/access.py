# SPDX-License-Identifier: MIT
"""What of a system decides who gets in: files of ssh, PAM, sudo, cloud-init, consoles and what systemd starts for them,
and words of the kernel's command line.

The build writes down which of the files packages have brought, and the specs find those that came from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ruamel.yaml.error import YAMLError

from builder.plan.cloud_yaml import ValueFault, load_cloud_yaml
from builder.plan.user_data import FIRST_LINE
from builder.plan.ways import programs, rules, servers, units
from builder.plan.ways.places import ABOVE, PLACES, is_of_system
from builder.plan.ways.seeds import META_DATA, USER_DATA, has_only
from builder.units import KIB, MIB

SEEDS = re.compile(r"(?i:/(.+/)?(user|meta|vendor)-data)")
"""cloud-init's seeds. Names of a FAT partition are the same in capitals."""
LARGEST_SEED = 64 * KIB
LARGEST = MIB
"""Of a file that is judged. More is written by no person, and counts as a way in."""
DEEP = re.compile(r"([\[{][^\]}\[{]{0,99}){64}")
"""Brackets in brackets, which take seconds to read."""


Judge = Callable[[str, bytes], bool]
_BASES = "(etc|run|usr/lib|usr/share|usr/local/lib|usr/local/share)"
_DOT_FILES = r"\.(bashrc|profile|bash_(profile|login|logout|aliases)|z(shrc|shenv|profile|login|logout)|[ck]shrc|login)"


def _by_content(judge: Callable[[bytes], bool]) -> Judge:
    return lambda _, content: judge(content)


LINKS = re.compile(rf"/etc/rc[0-6S]\.d/.+|{units.OF_DEPENDENCIES}")
"""Names that are of links everywhere; a file is none of a package."""
JUDGED: tuple[tuple[re.Pattern[str], Judge], ...] = (
    (units.UNITS, units.unit_lets_in),
    (units.CONFIGURATION, units.configuration_lets_in),
    *(
        (re.compile(pattern), _by_content(judge))
        for pattern, judge in (
            (units.PRESETS.pattern, rules.preset_lets_in),
            (rf"/{_BASES}/systemd/network/.+", rules.network_lets_in),
            (rf"/{_BASES}/(user-)?tmpfiles\.d/.+\.conf", rules.tmpfiles_let_in),
            (rf"/{_BASES}/sysusers\.d/.+\.conf", rules.sysusers_let_in),
            (rf"/{_BASES}/udev/rules\.d/.+\.rules", rules.udev_lets_in),
            (rf"/{_BASES}/udev/hwdb\.d/.+\.hwdb", rules.hwdb_lets_in),
            (rf"/{_BASES}/modprobe\.d/.+|/etc/modprobe\.conf", rules.modprobe_lets_in),
            (rf"/{_BASES}/sysctl\.d/.+\.conf|/etc/sysctl\.conf", rules.sysctl_lets_in),
            (r"/etc/(crontab|anacrontab|cron\.d/.+)", programs.cron_lets_in),
            (rf"/etc/environment|(/{_BASES}|/.+/\.config)/environment\.d/.+\.conf", programs.environment_lets_in),
            (r"/(.+/)?\.pam_environment", programs.environment_lets_in),
            (r"/etc/(profile|bash\.bashrc|profile\.d/.+|zsh/.+|csh\..+)", programs.profile_lets_in),
            (rf"/(root|etc/skel)/{_DOT_FILES}", programs.profile_lets_in),
            (r"/etc/apt/apt\.conf(\.d/.+)?", programs.apt_lets_in),
            (r"/etc/dpkg/dpkg\.cfg(\.d/.+)?", programs.dpkg_lets_in),
            (r"/etc/network/interfaces(\.d/.+)?", programs.interfaces_let_in),
            (r"/etc/logrotate\.(conf|d/.+)", programs.logrotate_lets_in),
            (r"/etc/samba/.+\.conf", servers.samba_lets_in),
            (r"/etc/default/.+", programs.defaults_let_in),
            (r"/etc/docker/daemon\.json", servers.docker_lets_in),
        )
    ),
    (SEEDS, lambda path, content: lets_in(content, is_meta=path.lower().endswith("meta-data"))),
)
"""Files that are judged by what they say. A board has some of them for other ends."""
_JUDGED_PLACES = re.compile("|".join(pattern.pattern for pattern, _ in JUDGED))
"""The places of all of them: of most files it is asked once."""


def is_way_in(path: str, read: Callable[[], bytes]) -> bool:
    """Say whether a file decides who gets in.

    path  in the system, /usr merged; the part of it that is in a FAT in lower case
    read  gives its content, of which some need a look; ValueError where it is not to be read
    """
    if PLACES.fullmatch(path) or LINKS.fullmatch(path) or not path.isprintable():  # A line feed fits no pattern.
        return True
    if not _JUDGED_PLACES.fullmatch(path):
        return False
    return any(_may_let_in(judge, path, read) for pattern, judge in JUDGED if pattern.fullmatch(path))


def _may_let_in(judge: Judge, path: str, read: Callable[[], bytes]) -> bool:
    try:
        content = read()
        return len(content) > LARGEST or judge(path, content)
    except ValueError:  # No text, or one that cannot be read surely.
        return True


def is_held(path: str) -> bool:
    """Say whether a file is to be as its package, or the build, has it: a part of the system that is of no kind whose
    content can be judged."""
    return is_of_system(path) and not _JUDGED_PLACES.fullmatch(path)


def is_link_held(path: str) -> bool:
    """Say whether a link is to be as its package, or the build, has it. Those that enable units are judged."""
    return is_of_system(path) and not (LINKS.fullmatch(path) or units.is_at_place(path))


def is_link_in(path: str, target: str) -> bool:
    """Say whether a link decides who gets in, by its place or by what it starts.

    path    in the system, /usr merged
    target  as the link has it
    """
    if PLACES.fullmatch(path) or ABOVE.fullmatch(path) or not path.isprintable():
        return True
    if re.fullmatch(r"/etc/rc[0-6S]\.d/.+", path):
        return re.fullmatch(r"\.\./init\.d/[^/]+", target) is None
    return units.unit_link_lets_in(path, target)


def leads_in(path: str, leads_to: str, read: Callable[[], bytes]) -> bool:
    """Say whether a link brings a way in by its end, to which another link may lead, or by what the file there says,
    which is judged otherwise by that file's own name.

    leads_to  the place of the file
    read      gives its content
    """
    if units.unit_link_lets_in(path, leads_to):
        return True
    is_other = units.find_role(path) != units.find_role(leads_to)
    kinds = [judge for kind, judge in JUDGED if kind.fullmatch(path) and (is_other or not kind.fullmatch(leads_to))]
    return any(_may_let_in(judge, path, read) for judge in kinds)


def lets_in(seed: bytes, *, is_meta: bool = False) -> bool:
    """Say whether a file of cloud-init may let somebody in: all but what says only what lets nobody in."""
    if not seed.strip():
        return False
    try:
        text = seed.decode()
        if len(seed) > LARGEST_SEED or not (is_meta or text.partition("\n")[0].rstrip() == FIRST_LINE):
            return True
        if DEEP.search(text):
            return True
        content = load_cloud_yaml(text)
        return content is not None and not (
            isinstance(content, dict) and has_only(content, META_DATA if is_meta else USER_DATA)
        )
    except (UnicodeDecodeError, YAMLError, ValueFault):
        return True
