# SPDX-License-Identifier: MIT
"""Check units and configuration of systemd: keys and values of a board's own that grant no access.

Paths are those of systemd.unit(5) and `systemd-analyze unit-paths`; the syntax is that of systemd.syntax(7). Any other
key may start a program of a package, read a terminal, or change the files that a service sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from builder.plan.ways.commands import has_harmless_variables, is_own_command
from builder.plan.ways.places import may_be_laid

_BASES = "(etc|run|usr/lib|usr/share|usr/local/lib|usr/local/share|etc/xdg)"
_KINDS = "service|socket|timer|path|mount|automount|swap|target|slice|scope|device"
_DIRECTORY = (
    rf"(/{_BASES}/systemd/(system|user)(\.control|\.attached)?|/run/systemd/(transient|generator(\.early|\.late)?)"
    r"|/(.+/)?\.(config|local/share)/systemd/user(\.control)?|/var/lib/.+/systemd/user)"
)
UNITS = re.compile(rf"{_DIRECTORY}/([^/]+\.({_KINDS})|.*\.d/[^/]+\.conf)")
"""Files that systemd reads as units or drop-ins."""
OF_DEPENDENCIES = rf"{_DIRECTORY}/.+\.(wants|requires|upholds)/.+"
"""Pattern of links that are the dependencies of a unit."""
_OF_UNITS = re.compile(rf"{_DIRECTORY}/.+")
_UNIT_NAME = re.compile(rf"[^/]+\.({_KINDS}|conf)")
_DROP_IN = re.compile(rf"/(?:[^/]*\.)?({_KINDS})\.d/[^/]+\.conf$")
_SHELL_UNIT = re.compile(
    r"(debug|console|container)-shell(@.*)?\.service|(rescue|emergency)\.(service|target)|runlevel1\.target"
    r"|(systemd-)?breakpoint-?.*\.service"
)
"""Names of units that give a root shell, without directory."""
PRESETS = re.compile(rf"/{_BASES}/systemd/(system|user|initrd)-preset/[^/]+")
CONFIGURATION = re.compile(rf"/{_BASES}/systemd/([^/]+)\.conf(\.d/[^/]+\.conf)?")
_HARMLESS_DAEMONS = frozenset(
    [
        *("journald", "journald@", "journal-upload", "resolved", "timesyncd", "networkd", "sleep", "oomd", "logind"),
        *("pstore", "coredump"),
    ]
)
_NAME = "[A-Za-z0-9_.@:\\\\-]+"

Check = Callable[[str], bool]
_Checks = tuple[tuple[re.Pattern[str], Check], ...]


def _is_any(_: str) -> bool:
    return True


def _starts_no_shell(value: str) -> bool:
    names = value.split()
    return all(re.fullmatch(rf"{_NAME}|dev-%[iI]\.device", name) and not _SHELL_UNIT.fullmatch(name) for name in names)


def _is_own_program(value: str) -> bool:
    return not value or is_own_command(value.lstrip("-:+!"))


def _is_output(value: str) -> bool:
    return (
        re.fullmatch(
            r"journal(\+console)?|null|inherit|syslog|kmsg"
            r"|(append|file|truncate):/(var/log|srv|mnt|home)/(?!\.)([\w.@%-]+/(?!\.))*[\w.@%-]+",
            value,
        )
        is not None
    )


def _is_plain_mount(value: str) -> bool:
    return not re.search(r"bind|dir=|subvol|[%\\\"']", value)


def _checks(*rows: tuple[str, Check]) -> _Checks:
    return tuple((re.compile(pattern), check) for pattern, check in rows)


_UNIT = _checks(
    (
        "Description|Documentation|(Condition|Assert).+|(Requires|Wants)MountsFor|DefaultDependencies|After|Before",
        _is_any,
    ),
    (
        "StartLimit.+|IgnoreOnIsolate|StopWhenUnneeded|RefuseManual.+|AllowIsolate|CollectMode|Job(Running)?Timeout.+",
        _is_any,
    ),
    ("SourcePath|(Success|Failure)Action.*|SurviveFinalKillSignal|RebootArgument", _is_any),
    (
        "Wants|Requires|Requisite|BindsTo|PartOf|Upholds|Conflicts|On(Failure|Success)(JobMode)?|Propagates(Reload|Stop)To"
        "|(Reload|Stop)PropagatedFrom|JoinsNamespaceOf",
        _starts_no_shell,
    ),
)
_INSTALL = _checks(("WantedBy|RequiredBy|UpheldBy|Alias|Also|DefaultInstance", _starts_no_shell))
_RESOURCES = _checks(
    ("CPU.+|Startup(CPU|IO|Memory).+|Allowed(CPUs|MemoryNodes)|Memory.+|Tasks.+|IO.+|Managed.+|Slice|Delegate", _is_any)
)
_RUNNING = (
    *_RESOURCES,
    *_checks(
        (
            "Restart.*|Timeout.+|Runtime(Max|Randomized).+|Watchdog.+|Kill.+|SendSIG.+|FinalKillSignal|SuccessExitStatus",
            _is_any,
        ),
        (
            "Limit.+|Nice|OOM.+|Syslog.+|Log(Level|RateLimit|Extra|Filter).*|CoredumpFilter|TimerSlackNSec|StartLimit.+",
            _is_any,
        ),
        (
            "Protect.+|Private.+|NoNewPrivileges|Restrict.+|Lock.+|MemoryDenyWriteExecute|RemoveIPC|ProcSubset"
            "|KeyringMode|SystemCallArchitectures",
            _is_any,
        ),
        # With ":0", a call does nothing and reports success.
        ("SystemCall(Filter|Log)", lambda value: ":" not in value),
        ("SystemCallErrorNumber", lambda value: re.fullmatch("E[A-Z0-9]+|kill", value) is not None),
        ("ReadOnlyPaths|CapabilityBoundingSet|DevicePolicy|DeviceAllow|IPAddress(Allow|Deny)|IPAccounting", _is_any),
        ("Standard(Output|Error)", _is_output),
    ),
)
_OWN_SERVICE = (
    *_checks(
        ("Exec(Start|StartPre|StartPost|Condition|Reload|Stop|StopPost)", _is_own_program),
        ("Type|RemainAfterExit|GuessMainPID|PIDFile|BusName|NotifyAccess|FileDescriptorStoreMax|OpenFile", _is_any),
        ("User|Group|SupplementaryGroups|DynamicUser|WorkingDirectory|UMask|AmbientCapabilities|SecureBits", _is_any),
        (
            "Environment(File)?|PassEnvironment|UnsetEnvironment|ReadWritePaths|InaccessiblePaths|NoExecPaths|ExecPaths",
            _is_any,
        ),
        ("(Runtime|State|Cache|Logs)Directory(Mode|Preserve|Quota|Accounting)?|AppArmorProfile", _is_any),
        ("ConfigurationDirectory(Mode)?", _is_any),
        ("StandardInput", lambda value: value == "null"),
    ),
    *_RUNNING,
)
_TIMER = _checks(
    ("On.+|AccuracySec|RandomizedDelaySec|RandomizedOffsetSec|FixedRandomDelay|DeferReactivation", _is_any),
    ("Persistent|WakeSystem|RemainAfterElapse", _is_any),
    ("Unit", _starts_no_shell),
)
_PATH = _checks(
    ("Path(Exists|ExistsGlob|Changed|Modified)|DirectoryNotEmpty|TriggerLimit.+|DirectoryMode", _is_any),
    ("Unit", _starts_no_shell),
)
_MOUNT = _checks(
    ("What|Type|SloppyOptions|LazyUnmount|ReadWriteOnly|ForceUnmount|DirectoryMode|TimeoutSec", _is_any),
    ("Options|ExtraOptions|Priority|TimeoutIdleSec", _is_any),
    ("Where", may_be_laid),
)
_MOUNT_PART = _checks(
    ("Options|ExtraOptions", _is_plain_mount),
    ("DirectoryMode|Timeout(Idle)?Sec|Priority|LazyUnmount|ForceUnmount", _is_any),
)

_ALWAYS: Mapping[str, _Checks] = {"Unit": _UNIT, "Install": _INSTALL}
_WHOLE: Mapping[str, Mapping[str, _Checks]] = {
    "service": {"Service": _OWN_SERVICE},
    "timer": {"Timer": _TIMER},
    "path": {"Path": _PATH},
    "mount": {"Mount": _MOUNT},
    "automount": {"Automount": _MOUNT},
    "swap": {"Swap": _MOUNT_PART + _checks(("What", _is_any))},
    "slice": {"Slice": _RESOURCES},
    "target": {"Target": ()},
    "device": {},
    "scope": {},
}
"""Allowed sections of a board's own units. Sockets are missing: they open a service to others."""
_PART: Mapping[str, Mapping[str, _Checks]] = {
    **_WHOLE,
    "service": {"Service": (*_RUNNING, *_checks(("Environment", has_harmless_variables)))},
    "mount": {"Mount": _MOUNT_PART},
    "automount": {"Automount": _MOUNT_PART},
    "swap": {"Swap": _MOUNT_PART},
    "socket": {},
}
"""Allowed sections of drop-ins, which may change a unit of a package."""
_MANAGER = {
    "Manager": _checks(
        (
            "Log(Level|Target|Color|Location|Time)|ShowStatus|StatusUnitFormat|CtrlAltDelBurstAction|CPUAffinity",
            _is_any,
        ),
        ("(Runtime|Reboot|KExec|Shutdown)?Watchdog.+|TimerSlackNSec|RateLimit.+|ReloadLimit.+|ProtectSystem", _is_any),
        (
            "Default(Timeout|StartLimit|RestartSec|Limit|Tasks|Memory|CPU|IO|IP|Timer|OOM|DeviceTimeout).*|NoNewPrivileges",
            _is_any,
        ),
        ("DefaultEnvironment|ManagerEnvironment", has_harmless_variables),
    )
}


def unit_lets_in(path: str, content: bytes) -> bool:
    """Return whether a unit or drop-in may grant access."""
    part, (stem, _, kind) = _DROP_IN.search(path), path.rpartition("/")[2].rpartition(".")
    sections = _PART.get(part[1]) if part else _WHOLE.get(kind)
    if sections is None or (kind in ("timer", "path") and _SHELL_UNIT.fullmatch(f"{stem}.service")):
        return True
    # Without Where=, the mount point comes from the name of the unit.
    needed = "Where" if not part and kind in ("mount", "automount") else ""
    return not _says_only(content, {**_ALWAYS, **sections}, needed)


def configuration_lets_in(path: str, content: bytes) -> bool:
    """Return whether the configuration of one of systemd's own daemons may grant access."""
    match = CONFIGURATION.fullmatch(path)
    name = match[2] if match else ""
    return name not in _HARMLESS_DAEMONS and not (name in ("system", "user") and _says_only(content, _MANAGER))


def is_at_place(path: str) -> bool:
    """Return whether systemd looks for units at a path."""
    return _OF_UNITS.fullmatch(path) is not None


def unit_link_lets_in(path: str, target: str) -> bool:
    """Return whether a link in a directory of units may grant access by its name or its target.

    In .wants, systemd uses the name of the link; elsewhere, the name of its target.
    """
    if not _OF_UNITS.fullmatch(path) or target == "/dev/null":
        return False
    name = path.rpartition("/")[2]
    is_directory = not _UNIT_NAME.fullmatch(name)
    return is_directory or any(_SHELL_UNIT.fullmatch(unit) for unit in (name, target.rpartition("/")[2]))


def find_role(path: str) -> str:
    """Return how systemd reads a file: "service", "part of service" for a drop-in, or "" if it does not."""
    if not UNITS.fullmatch(path):
        return ""
    part = _DROP_IN.search(path)
    return f"part of {part[1]}" if part else path.rpartition(".")[2]


def _says_only(content: bytes, sections: Mapping[str, _Checks], needed: str = "") -> bool:
    """Return whether a file has only allowed sections, keys and values, and the key `needed`, if any."""
    try:
        rows = list(_read_rows(content.decode()))
    except ValueError:
        return False
    return all(_is_allowed(sections, *row) for row in rows) and (not needed or needed in {key for _, key, _ in rows})


def _is_allowed(sections: Mapping[str, _Checks], section: str, key: str, value: str) -> bool:
    if section.startswith("X-"):  # systemd.unit(5): ignored.
        return True
    checks = [check for pattern, check in sections.get(section, ()) if pattern.fullmatch(key)]
    return bool(checks) and all(check(value) for check in checks)


def _read_rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (section, key, value). Raises ValueError for any other line, which systemd ignores or reads differently."""
    section = ""
    for line in _join_lines(text.removeprefix("\ufeff")):
        if line.startswith("["):
            if not line.endswith("]"):
                raise ValueError(line)
            section = line[1:-1]
            continue
        key, is_row, value = line.partition("=")
        if not is_row or not section:
            raise ValueError(line)
        yield section, key.strip(" \t"), value.strip(" \t")


def _join_lines(text: str) -> Iterator[str]:
    """Yield lines without empty ones and comments; a line that ends in a backslash is joined with the next.

    This follows config_parse() in systemd's src/shared/conf-parser.c. Raises ValueError for its other line endings.
    """
    text = text.replace("\r\n", "\n")
    if "\0" in text or "\r" in text:
        raise ValueError("a line ending that only systemd knows")
    waiting = ""
    for raw in text.split("\n"):
        line = raw.lstrip(" \t")
        if line.startswith(("#", ";")):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            waiting += line[:-1] + " "
            continue
        if whole := (waiting + line).strip(" \t"):
            yield whole
        waiting = ""
    if waiting.strip(" \t"):
        yield waiting.strip(" \t")
