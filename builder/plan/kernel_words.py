# SPDX-License-Identifier: MIT
"""Kernel parameters: split a command line, find those that grant access.

The kernel, systemd and the initrd's scripts read the line with different rules. A line with only the parameters of a
plan means the same to all, because a recipe's have no quotes and no backslashes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

QUOTED = re.compile(r'(?:[^ \t\n\v\f\r"]|"[^"]*(?:"|$))+')
"""A parameter, including parts in quotes (next_arg in the kernel's lib/cmdline.c)."""

# Names with _ for -, as the kernel (parameqn) and systemd (proc_cmdline_key_streq) compare them.
_SHELLS = r"(rd\.)?(emergency|rescue|break|shell)|[1sSb]|single"
_PROGRAMS = (
    r"(rd)?init|initrd(mem)?|bootconfig"
    r"|sysctl[./](kernel[./](core_pattern|modprobe|hotplug|poweroff_cmd)|fs[./]binfmt_misc.*)"
)
_SYSTEMS = r"boot|nfsroot|nfsaddrs|(rd\.)?mount\.usr.*|overlayroot.*|cryptopts|iso_scan/filename"
_DEBUGGERS = r"e?kgdb.*|kdb"
_CLOUD_INIT = r"ds|(ci|cc)[.:].*|(cloud_config_)?url"
# Environment of PID 1: the kernel puts unknown parameters with "=" there (unknown_bootoption in init/main.c), and every
# program inherits LD_PRELOAD and its like.
_ENVIRONMENT = r"[A-Z][A-Z0-9_]*"
_LETS_IN = re.compile("|".join((_SHELLS, _PROGRAMS, _SYSTEMS, _DEBUGGERS, _CLOUD_INIT)))
_OF_SYSTEMD = re.compile(
    r"show_status|status_unit_format|log_.*|machine_id|hostname|clock_usec|random_seed|watchdog_.*|service_watchdogs"
    r"|default_timeout_start_sec|dump_core|crash_(chvt|reboot)|cpu_affinity|mask|swap|zram|gpt_auto|tty\.(rows|columns)\..*"
    r"|unified_cgroup_hierarchy|legacy_systemd_cgroup_controller"
)
"""Harmless names after "systemd.": they set no shell, password or program (kernel-command-line(7)). Any other name
counts as one that grants access, because new versions add names."""
_NO = frozenset({"0", "no", "n", "false", "f", "off"})


def split_words(line: str) -> list[str]:
    """Return the parameters of a command line, split like in the kernel: at spaces outside of double quotes.

    Quotes around a parameter or its value are removed.
    """
    return [_unquote(word) for word in QUOTED.findall(line)]


def _unquote(word: str) -> str:
    if word.startswith('"'):
        return word[1:].removesuffix('"')
    name, _, value = word.partition("=")
    return name + "=" + value[1:].removesuffix('"') if value.startswith('"') else word


def find_ways_in(words: Sequence[str]) -> list[str]:
    """Return the parameters that grant access: by a shell, another program or system, or a seed for cloud-init.

    All arguments of PID 1, after "--", are among them.
    """
    end = words.index("--") if "--" in words else len(words)
    return [*filter(lets_in, words[:end]), *words[end:]]


def lets_in(word: str) -> bool:
    """Return whether a kernel parameter grants access."""
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
