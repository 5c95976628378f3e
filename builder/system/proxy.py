# SPDX-License-Identifier: MIT
"""Proxies from the environment, for programs that are started here and for containers.

curl reads http_proxy in lower case only, others read HTTP_PROXY, and users set either. Both are accepted here, lower
case first. Programs get the lower case, which APT needs.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

from builder.errors import MachineError
from builder.system.files import load_json, read_text

NAMES = ("http_proxy", "https_proxy", "no_proxy")
PASSED = tuple(variable for name in NAMES for variable in (name, name.upper()))
"""Both spellings of each name: the variables that a container gets."""
SCHEMES = ("http", "https", "socks5h")
"""URL schemes of proxies that APT accepts (apt-transport-http(1))."""
FILE = "BOARDWRIGHT_PROXIES"
HERE = "host.docker.internal"
"""Host name of the Engine's machine inside a container."""


def find_proxies() -> dict[str, str]:
    """Return the proxies that are set, by their name in lower case; empty ones are left out."""
    values = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in NAMES}
    return {name: value for name, value in values.items() if value}


def check_proxies(*, container: bool = False) -> None:
    """Raise MachineError for a proxy that no download can use.

    container  the downloads run in a container, where localhost is the container itself
    """
    for name, value in find_proxies().items():
        if name == "no_proxy":
            continue
        try:
            parts = urlsplit(value)
            host, is_address = parts.hostname or "", parts.scheme in SCHEMES
        except ValueError:
            host, is_address = "", False
        if not (host and is_address):
            raise MachineError(
                f"{name}: found an invalid proxy URL; expected http://, https:// or socks5h:// and a host",
                hint=f"write it as http://HOST:PORT, or unset {name} and {name.upper()}",
            )
        if container and is_loopback(host):
            raise MachineError(
                f"{name}: a container cannot reach {host}: there, that is the container itself",
                hint=f"let the proxy listen on all addresses and name it http://{HERE}:PORT, or use --engine local",
            )


def pass_proxies() -> dict[str, str]:
    """Return the proxies for a container, in both spellings; MachineError for one that it cannot use."""
    check_proxies(container=True)
    return {variable: value for name, value in find_proxies().items() for variable in (name, name.upper())}


def take_proxies() -> None:
    """Set the proxies from the file that the environment names; a container gets its proxies this way.

    A container's environment can be read by every user of the Engine, and proxies may have passwords.
    """
    file = os.environ.pop(FILE, "")
    if not file:
        return
    try:
        proxies = load_json(read_text(Path(file)))
    except ValueError as error:
        raise _no_proxies(file, str(error)) from None
    values = proxies.values() if isinstance(proxies, dict) else [None]
    if not all(isinstance(value, str) and "\0" not in value for value in values):
        raise _no_proxies(file, "found something other than an object of strings")
    os.environ.update({name: proxies[name] for name in PASSED if name in proxies})


def _no_proxies(file: str, problem: str) -> MachineError:
    return MachineError(f"{FILE}: {file} cannot be read: {problem}", hint="this is a bug; please report it")


def has_password() -> bool:
    """Return whether the URL of a proxy has a password."""
    return any(urlsplit(value).password for name, value in find_proxies().items() if name != "no_proxy")


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_hosts(*hosts: str | None) -> tuple[str, ...]:
    """Return the extra hosts of a container, for access to its Engine's machine; empty if no host or proxy is that
    machine. Docker Desktop always has this name, other Engines only on request."""
    proxies = (urlsplit(value).hostname for name, value in find_proxies().items() if name != "no_proxy")
    return (f"{HERE}:host-gateway",) if HERE in (*hosts, *proxies) else ()
