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
from builder.plan.ways.places import ABOVE, PLACES
from builder.plan.ways.seeds import META_DATA, USER_DATA, has_only

UNITS = re.compile(r"/(etc|run|usr/lib|usr/local/lib)/systemd/(system|user)/.+\.(service|socket|conf)")
OF_UNITS = re.compile(
    rb"sshd|agetty|mingetty|autologin|sulogin|\blogin\b|dropbear|telnetd|rshd|rlogind|rexecd|ttyd|shellinabox"
    rb"|\bn(et)?cat\b|\bnc\b|\bsocat\b|Accept\s*=\s*(1|y|t|on)|StandardInput\s*=\s*(tty|socket)|Credential\w*\s*="
    rb"|/bin/(ba|da|z|k)?sh\s*$",
    re.IGNORECASE | re.MULTILINE,
)
"""What a unit says that gives somebody a shell."""
RULES = re.compile(r"/(etc|run|usr/lib|usr/local/lib)/(sysusers|tmpfiles)\.d/.+\.conf")
OF_RULES = re.compile(
    rb"authorized_keys|\.ssh|/ssh/|sudoers|shadow|passwd|pam\.d|polkit|credstore|generators|/systemd/system"
    rb"|^[ \t]*u!?[ \t]+\S+[ \t]+[\"']?0\b|/bin/(ba|da|z|k)?sh[ \t\r]*$",
    re.MULTILINE,
)
"""What systemd-sysusers and systemd-tmpfiles are told that lets somebody in at the next start."""
SEEDS = re.compile(r"/(.+/)?(user|meta|vendor)-data", re.IGNORECASE)
"""cloud-init's seeds. Names of a FAT partition are the same in capitals."""
LARGEST_SEED = 1 << 20
SHELL_UNITS = re.compile(r"(.*/)?(debug-shell|console-shell|rescue|emergency)\.(service|target)")
"""Units that give root a shell."""


def is_way_in(path: str, read: Callable[[], bytes]) -> bool:
    """Say whether a file decides who gets in.

    path  in the system, /usr merged; the part of it that is in a FAT in lower case
    read  gives its content, of which some need a look
    """
    if PLACES.fullmatch(path):
        return True
    if UNITS.fullmatch(path):
        return OF_UNITS.search(_join_lines(read())) is not None
    if RULES.fullmatch(path):
        return OF_RULES.search(read()) is not None
    return SEEDS.fullmatch(path) is not None and lets_in(read(), is_meta=path.lower().endswith("meta-data"))


def is_link_in(path: str, target: str) -> bool:
    """Say whether a link decides who gets in, by its place or by what it starts.

    path    in the system, /usr merged
    target  as the link has it
    """
    if PLACES.fullmatch(path) or ABOVE.fullmatch(path):
        return True
    return "/systemd/" in path and SHELL_UNITS.fullmatch(target) is not None


def may_lead_in(path: str, leads_to: str) -> bool:
    """Say whether a link may bring a way in from elsewhere: it has the name of one, and its file lies outside of those
    places, where no look at the names of files would find it."""
    return any(kind.fullmatch(path) and not kind.fullmatch(leads_to) for kind in (UNITS, RULES, SEEDS))


def _join_lines(unit: bytes) -> bytes:
    """Put lines of a unit that go on in the next into one, as systemd does."""
    return re.sub(rb"\\\n", b" ", unit)


def lets_in(seed: bytes, *, is_meta: bool = False) -> bool:
    """Say whether a file of cloud-init may let somebody in: all but what says only what lets nobody in."""
    if not seed.strip():
        return False
    try:
        text = seed.decode()
        if len(seed) > LARGEST_SEED or not (is_meta or text.partition("\n")[0].rstrip() == FIRST_LINE):
            return True
        content = load_cloud_yaml(text)
        return content is not None and not (
            isinstance(content, dict) and has_only(content, META_DATA if is_meta else USER_DATA)
        )
    except (UnicodeDecodeError, YAMLError, ValueFault):
        return True
