# SPDX-License-Identifier: MIT
"""Words of the kernel's command line: how a line falls into words, which ones a plan brings, and which let somebody in.

The kernel, systemd and the initrd's scripts all read the line, each by rules of its own. Of a line that has no words
but those of a plan, all of them read the same words: a recipe's have no quotes and no backslashes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from builder.plan.model import Plan

ADDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "raspi": ("rw", "rootwait", "fsck.repair=yes", "net.ifnames=0"),  # z50-raspi-firmware
        "extlinux": ("ro", "quiet"),  # u-boot-update, where it is told no words at all
    }
)
"""Words that the program of a boot method adds by itself."""
QUOTED = re.compile(r'(?:[^ \t\n\v\f\r"]|"[^"]*(?:"|$))+')
"""A word, with what is in quotes as a part of it (next_arg in the kernel's lib/cmdline.c)."""

# Names as they are compared: with _ for -, as the kernel (parameqn) and systemd (proc_cmdline_key_streq) take them.
_SHELLS = r"(rd\.)?(emergency|rescue|break|shell)|[1sSb]|single"
_PROGRAMS = (
    r"(rd)?init|initrd(mem)?|bootconfig"
    r"|sysctl[./](kernel[./](core_pattern|modprobe|hotplug|poweroff_cmd)|fs[./]binfmt_misc.*)"
)
_SYSTEMS = r"boot|nfsroot|nfsaddrs|(rd\.)?mount\.usr.*|overlayroot.*|cryptopts|iso_scan/filename"
_DEBUGGERS = r"e?kgdb.*|kdb"
_CLOUD_INIT = r"ds|(ci|cc)[.:].*|(cloud_config_)?url"
# An environment is of PID 1: the kernel puts words with "=" there that it does not know (unknown_bootoption in
# init/main.c), and every program would get LD_PRELOAD and its like.
_ENVIRONMENT = r"[A-Z][A-Z0-9_]*"
_LETS_IN = re.compile("|".join((_SHELLS, _PROGRAMS, _SYSTEMS, _DEBUGGERS, _CLOUD_INIT)))
_OF_SYSTEMD = re.compile(
    r"show_status|status_unit_format|log_.*|machine_id|hostname|clock_usec|random_seed|watchdog_.*|service_watchdogs"
    r"|default_timeout_start_sec|dump_core|crash_(chvt|reboot)|cpu_affinity|mask|swap|zram|gpt_auto|tty\.(rows|columns)\..*"
    r"|unified_cgroup_hierarchy|legacy_systemd_cgroup_controller"
)
"""What follows "systemd." and gives no shell, no password and no program (kernel-command-line(7)). New versions
bring new words, so any other one is taken for one that does."""
_NO = frozenset({"0", "no", "n", "false", "f", "off"})


def split_words(line: str) -> list[str]:
    """Return the words of a command line, as the kernel takes them apart: by spaces, and not within double quotes.

    Quotes around a word or around its value are taken away.
    """
    return [_unquote(word) for word in QUOTED.findall(line)]


def _unquote(word: str) -> str:
    if word.startswith('"'):
        return word[1:].removesuffix('"')
    name, _, value = word.partition("=")
    return name + "=" + value[1:].removesuffix('"') if value.startswith('"') else word


def planned_words(plan: Plan) -> frozenset[str]:
    """Return the words that a build of a plan writes, and those that the program of its boot method adds."""
    return frozenset({*plan.kernel_cmdline.split(), *ADDED.get(plan.recipe.boot.method, ())})


def find_ways_in(words: Sequence[str]) -> list[str]:
    """Return the words that end in a shell, start another program or system than the image's, or let others say what
    cloud-init does. What follows "--" are arguments of PID 1."""
    end = words.index("--") if "--" in words else len(words)
    return [*filter(lets_in, words[:end]), *words[end:]]


def lets_in(word: str) -> bool:
    """Say whether a word of a command line lets somebody in."""
    name, equals, value = word.partition("=")
    if name.startswith("-") or (equals and re.fullmatch(_ENVIRONMENT, name)):
        return True
    name = name.replace("-", "_")
    of_systemd = re.fullmatch(r"(?:rd\.)?systemd\.(.*)", name)
    if of_systemd is None:
        return _LETS_IN.fullmatch(name) is not None
    if of_systemd[1] in ("firstboot", "ssh_auto"):
        return value.lower() not in _NO
    return _OF_SYSTEMD.fullmatch(of_systemd[1]) is None
