# SPDX-License-Identifier: MIT
"""Find files that grant access to a system: files of ssh, PAM, sudo, cloud-init, consoles and systemd.

The build records such files of packages. The specs find those that come from elsewhere. For kernel parameters see
builder.plan.kernel_words.
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
"""Seeds of cloud-init. Names on a FAT partition ignore case."""
LARGEST_SEED = 64 * KIB
LARGEST = MIB
"""Most bytes of a file that is checked. A larger file counts as one that grants access."""
DEEP = re.compile(r"([\[{][^\]}\[{]{0,99}){64}")
"""Nested brackets that take seconds to parse."""


Judge = Callable[[str, bytes], bool]
_BASES = "(etc|run|usr/lib|usr/share|usr/local/lib|usr/local/share)"
_DOT_FILES = r"\.(bashrc|profile|bash_(profile|login|logout|aliases)|z(shrc|shenv|profile|login|logout)|[ck]shrc|login)"


def _by_content(judge: Callable[[bytes], bool]) -> Judge:
    return lambda _, content: judge(content)


LINKS = re.compile(rf"/etc/rc[0-6S]\.d/.+|{units.OF_DEPENDENCIES}")
"""Names that are always links; no package has a file of such a name."""
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
"""Files that are checked by their content, because boards also have harmless ones."""
_JUDGED_PLACES = re.compile("|".join(pattern.pattern for pattern, _ in JUDGED))
"""All patterns of JUDGED in one, which most files need to be matched with once only."""


def is_way_in(path: str, read: Callable[[], bytes]) -> bool:
    """Return whether a file grants access.

    path  path in the system, with /usr merged and the part on a FAT in lower case
    read  returns the content, if it is needed; raises ValueError for a file that cannot be read
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
    except ValueError:  # Not text, or programs may read it in different ways.
        return True


def is_held(path: str) -> bool:
    """Return whether a file must be as its package or the build wrote it.

    This holds for a part of the system whose content cannot be checked.
    """
    return is_of_system(path) and not _JUDGED_PLACES.fullmatch(path)


def is_link_held(path: str) -> bool:
    """Return whether a link must be as its package or the build made it; links that enable units are checked."""
    return is_of_system(path) and not (LINKS.fullmatch(path) or units.is_at_place(path))


def is_link_in(path: str, target: str) -> bool:
    """Return whether a link grants access, by its path or by the unit or script that it starts.

    path    path in the system, with /usr merged
    target  text of the link
    """
    if PLACES.fullmatch(path) or ABOVE.fullmatch(path) or not path.isprintable():
        return True
    if re.fullmatch(r"/etc/rc[0-6S]\.d/.+", path):
        return re.fullmatch(r"\.\./init\.d/[^/]+", target) is None
    return units.unit_link_lets_in(path, target)


def leads_in(path: str, leads_to: str, read: Callable[[], bytes]) -> bool:
    """Say whether a link brings a way in by its end, to which another link may lead, or by what the file there says,
    which is judged otherwise by that file's own name.

    leads_to  path of the target
    read      returns the content of the target
    """
    if units.unit_link_lets_in(path, leads_to):
        return True
    is_other = units.find_role(path) != units.find_role(leads_to)
    kinds = [judge for kind, judge in JUDGED if kind.fullmatch(path) and (is_other or not kind.fullmatch(leads_to))]
    return any(_may_let_in(judge, path, read) for judge in kinds)


def lets_in(seed: bytes, *, is_meta: bool = False) -> bool:
    """Return whether a seed of cloud-init may grant access: it has more than keys known to be harmless."""
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
