# SPDX-License-Identifier: MIT
"""Configuration of programs that can make root run a command, or let others in: cron, shells, APT and others.

Each function returns whether the content of a file may grant access. It raises ValueError if it cannot read the file.
"""

from __future__ import annotations

import re

from builder.plan.ways.commands import has_harmless_variables, is_own_command, is_search_path
from builder.plan.ways.plain import list_lines

_CRON_TIME = re.compile(r"(@[a-z]+|(?:[0-9A-Za-z*/,~-]+\s+){4}[0-9A-Za-z*/,~-]+)\s+([a-z_][a-z0-9_-]*)\s+(.*)")


def cron_lets_in(content: bytes) -> bool:
    """Check a crontab(5) of the system (TIME USER COMMAND): harmless are own programs without shell syntax."""
    return not all(map(_is_harmless_job, list_lines(content)))


def _is_harmless_job(line: str) -> bool:
    if re.match(r"\w+\s*=", line):
        name, value = (part.strip() for part in line.split("=", 1))
        is_usual = re.fullmatch(
            "PATH=.*|HOME=/[a-z/]*|SHELL=(/usr)?/bin/(ba)?sh|CRON_TZ=[A-Za-z0-9_/+-]*", f"{name}={value}"
        )
        return is_usual is not None or has_harmless_variables(f"{name}={value}")
    job = _CRON_TIME.fullmatch(line)
    command = re.sub(r"( >{1,2} ?/(dev/null|var/log/[\w.-]+))?( 2>&1)?$", "", job[3]) if job else ""
    return re.fullmatch(r"[\w /.,:=@+-]+", command) is not None and is_own_command(command)


_SEARCH_PATH = re.compile(r"PATH=(?P<quote>\"?)(?P<value>[\w/.:${}-]+)(?P=quote)")


def environment_lets_in(content: bytes) -> bool:
    """Check environment.d(5), pam_env(8): harmless are variables that give programs no options and no code."""
    lines = (line.removeprefix("export ") for line in list_lines(content))
    return not all(_finds_packages_first(line) or has_harmless_variables(line) for line in lines)


def _finds_packages_first(line: str) -> bool:
    match = _SEARCH_PATH.fullmatch(line)
    return match is not None and is_search_path(match["value"])


_SHELL_LINE = re.compile(
    r"export\s+\w+(\s+\w+)*|umask\s+0[0-7]{2,3}"
    # Options alone: `ip netns exec` and its like run what follows.
    r"|alias\s+[A-Za-z][\w-]*=(?P<quote>['\"])(ls|dir|grep|egrep|fgrep|df|du|free|ip|diff|tree)"
    r"( --?[\w=-]+)*(?P=quote)"
    r"|alias\s+([A-Za-z][\w-]*|\.\.+)=(?P<other>['\"])"
    r"(cd [\w./-]+|git (status|diff|log|branch)|docker (ps|images|compose))(?P=other)"
)


def profile_lets_in(content: bytes) -> bool:
    """What shells read at a login: variables, a path, an alias. Anything else is a program."""
    return not all(map(_is_harmless_line, list_lines(content)))


def _is_harmless_line(line: str) -> bool:
    value = re.sub(r"^export\s+", "", line)
    return bool(_SHELL_LINE.fullmatch(line) or has_harmless_variables(value) or _finds_packages_first(value))


_APT_COMMENT = re.compile(r"^[ \t]*(//|#(?!include|clear|x-apt)).*$", re.MULTILINE)
_APT_WORD = re.compile(r"\s+|[{};]|\"[^\"\n]*\"(?=\s*;)|([A-Za-z0-9:_.-]+)")


_APT_PARTS = frozenset(
    [
        *("acquire", "http", "https", "ftp", "proxy", "timeout", "retries", "pipeline-depth", "dl-limit", "queue-mode"),
        *(
            "languages",
            "forceipv4",
            "forceipv6",
            "gzipindexes",
            "by-hash",
            "pdiffs",
            "check-valid-until",
            "apt",
            "periodic",
        ),
        *(
            "default-release",
            "unattended-upgrade",
            "mail",
            "mailreport",
            "install-recommends",
            "install-suggests",
            "autoremove",
            "recommendsimportant",
            "suggestsimportant",
        ),
        *("update-package-lists", "download-upgradeable-packages", "autocleaninterval", "unattended-upgrade", "enable"),
        *(
            "randomsleep",
            "verbose",
            "cache-limit",
            "get",
            "show-versions",
            "assume-yes",
            "color",
            "never-markauto-sections",
        ),
        *("automatic-reboot", "automatic-reboot-time", "automatic-reboot-withusers", "remove-unused-dependencies", ""),
        *(
            "remove-unused-kernel-packages",
            "remove-new-unused-dependencies",
            "package-blacklist",
            "minimalsteps",
            "origins-pattern",
            "allowed-origins",
        ),
        *("true", "false", "yes", "no", "none"),
    ]
)


def apt_lets_in(content: bytes) -> bool:
    """Check apt.conf(5): harmless are known names outside of quotes, which run no command and add no trust.

    Only comments on separate lines are removed: the extent of others depends on quotes in them.
    """
    text, at = _APT_COMMENT.sub("", content.decode()), 0
    while at < len(text):
        match = _APT_WORD.match(text, at)
        if match is None:
            return True
        parts = (match[1] or "").lower().split("::")
        if not all(part in _APT_PARTS or part.isdigit() for part in parts):
            return True
        at = match.end()
    return False


_UP = re.compile(r"((pre-|post-)?(up|down)|map|script|source(-directory)?|mapping|template|command)\b")
_INTERFACE = re.compile(r"[A-Za-z0-9 \t_.:/@+-]+")
_USUAL_SOURCE = "source /etc/network/interfaces.d/*"


def interfaces_let_in(content: bytes) -> bool:
    """Check interfaces(5): harmful are commands around up and down, and values with shell syntax."""
    return not all(
        line == _USUAL_SOURCE or (_INTERFACE.fullmatch(line) and not _UP.match(line)) for line in list_lines(content)
    )


_ROTATE = re.compile(
    r"\b((pre|post)(rotate|remove)|(first|last)action|(un)?compresscmd|olddir|mail)\b|(^|[{\s])include\s|\.\."
)
_LOG = (
    r"\"?(/var/log/[\w./*-]+|/(srv|opt|mnt|home|var/lib)/(?![\w./*-]*/\.)"
    r"([\w./*-]+\.(log|out|err)|[\w./*-]*logs?/[\w.*-]+))\"?"
)
_LOGS = re.compile(rf"{_LOG}(\s+{_LOG})*\s*\{{?")
_MODE_FOR_ALL = re.compile(r"\bcreate(olddir)?\s+[0-7]*[2367]\b")


def logrotate_lets_in(content: bytes) -> bool:
    """Check logrotate.conf(5): harmful are scripts, and files other than logs: it moves them and sets their modes."""
    lines = list(list_lines(content))
    names = (line for line in lines if line.startswith(("/", '"')))
    return any(_ROTATE.search(line) or _MODE_FOR_ALL.search(line) for line in lines) or not all(
        map(_LOGS.fullmatch, names)
    )


_DPKG = re.compile("no-debsig|no-pager|log[= ]/var/log/[A-Za-z0-9_.-]+|path-(in|ex)clude[= ].*|force-unsafe-io")


def dpkg_lets_in(content: bytes) -> bool:
    """Check dpkg.cfg(5): options of dpkg, some of which are commands."""
    return not all(map(_DPKG.fullmatch, list_lines(content)))


_OF_COMMANDS = re.compile(
    "OPT|ARG|FLAG|PARAM|CMD|COMMAND|DAEMON|CONF|EXEC|SCRIPT|PROG|PATH|HOOK|HELPER|PRELOAD|ENV|LD_|TUNABLES|PYTHON|PERL"
)
_IN_QUOTES = "[A-Za-z0-9_.,:/@+=?&%#~ -]*"
_DEFAULT = re.compile(rf"(export\s+)?([A-Z][A-Z0-9_]*)=(\"{_IN_QUOTES}\"|'{_IN_QUOTES}'|[A-Za-z0-9_.,:/@+=-]*)")


def defaults_let_in(content: bytes) -> bool:
    """Check a file of /etc/default, which services or a root shell read.

    Harmless are plain variables that do not become part of a command line.
    """
    rows = [_DEFAULT.fullmatch(line) for line in list_lines(content)]
    return not all(row and not _OF_COMMANDS.search(row[2]) for row in rows)
