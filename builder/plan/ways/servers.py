# SPDX-License-Identifier: MIT
"""Configuration of servers that can make root run a command, or let others in: Samba and Docker.

Each function says of the content of a file whether it may let somebody in; ValueError stands for what it cannot read.
"""

from __future__ import annotations

import re

from builder.plan.ways.plain import list_lines
from builder.system.files import load_json

_SAMBA = frozenset(
    [
        *(
            "workgroup",
            "serverstring",
            "netbiosname",
            "logfile",
            "maxlogsize",
            "loglevel",
            "syslog",
            "dnsproxy",
            "browseable",
        ),
        *(
            "path",
            "comment",
            "readonly",
            "writeable",
            "writable",
            "browsable",
            "available",
            "validusers",
            "invalidusers",
        ),
        *(
            "readlist",
            "writelist",
            "createmask",
            "directorymask",
            "createmode",
            "directorymode",
            "hostsallow",
            "hostsdeny",
        ),
        *("interfaces", "bindinterfacesonly", "unixcharset", "doscharset", "oslevel", "localmaster", "domainmaster"),
        *("preferredmaster", "winssupport", "serverminprotocol", "serversmbencrypt", "smbencrypt", "disablenetbios"),
        *("loadprinters", "printing", "printcapname", "hidefiles", "vetofiles", "hidedotfiles", "deletevetofiles"),
        *(
            "casesensitive",
            "preservecase",
            "oplocks",
            "deadtime",
            "keepalive",
            "socketoptions",
            "usesendfile",
            "volume",
        ),
        *("maxconnections", "storedosattributes", "inheritpermissions", "inheritacls", "easupport", "serverrole"),
    ]
)
_SERVER_ROLES = re.compile(r"(?i:standalone( server)?|auto)")
_SAMBA_LOGS = re.compile(r"/var/log/samba/[\w.%-]+")


def samba_lets_in(content: bytes) -> bool:
    """Return whether smb.conf(5) has any other setting than those that run no command, load no code and allow no access
    without a password. Samba ignores blanks in names."""
    rows = (line for line in list_lines(content, ("#", ";")) if not line.startswith("["))
    return not all(map(_is_harmless_share, rows))


def _is_harmless_share(row: str) -> bool:
    name, _, value = row.partition("=")
    name, value = re.sub(r"\s", "", name).lower(), value.strip()
    if name in ("serverrole", "logfile"):
        return (_SERVER_ROLES if name == "serverrole" else _SAMBA_LOGS).fullmatch(value) is not None
    return name in _SAMBA


_DOCKER_KEYS = frozenset(
    [
        *("log-driver", "log-opts", "log-level", "log-format", "storage-driver", "storage-opts", "data-root", "debug"),
        *("registry-mirrors", "dns", "dns-opts", "dns-search", "bip", "fixed-cidr", "fixed-cidr-v6", "default-gateway"),
        *(
            "default-address-pools",
            "ipv6",
            "ip",
            "ip6tables",
            "iptables",
            "ip-forward",
            "ip-masq",
            "icc",
            "mtu",
            "bridge",
        ),
        *(
            "live-restore",
            "init",
            "experimental",
            "features",
            "max-concurrent-downloads",
            "max-concurrent-uploads",
            "builder",
        ),
        *("max-download-attempts", "default-ulimits", "default-shm-size", "userland-proxy", "userns-remap", "labels"),
        *("no-new-privileges", "shutdown-timeout", "default-cgroupns-mode", "cgroup-parent", "exec-opts", "hosts"),
        "insecure-registries",
    ]
)


def docker_lets_in(content: bytes) -> bool:
    """Return whether Docker's daemon.json has remote `hosts` or an unlisted key, such as a program to start."""
    settings = load_json(content)
    return not (
        isinstance(settings, dict) and settings.keys() <= _DOCKER_KEYS and _are_local(settings.get("hosts", []))
    )


def _are_local(hosts: object) -> bool:
    return isinstance(hosts, list) and all(
        host in ("fd://", "unix://", "unix:///var/run/docker.sock", "unix:///run/docker.sock") for host in hosts
    )
