# SPDX-License-Identifier: MIT
"""The proxies of this machine's environment: for the programs that are started here, and for containers.

curl reads http_proxy in lower case only, others read HTTP_PROXY; people set the one or the other. Both count here, the
lower case first, and programs are given the lower case, which APT needs.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

from builder.errors import MachineError
from builder.system.files import load_json, read_text

NAMES = ("http_proxy", "https_proxy", "no_proxy")
PASSED = tuple(each for name in NAMES for each in (name, name.upper()))
"""Both names of each: all that a container is given."""
SCHEMES = ("http", "https", "socks5h")
"""What APT takes for a proxy (apt-transport-http(1))."""
FILE = "BOARDWRIGHT_PROXIES"
HERE = "host.docker.internal"
"""The machine of the Engine, as a container calls it."""


def find_proxies() -> dict[str, str]:
    """Return the proxies that are set, by their name in lower case; empty ones are none."""
    found = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in NAMES}
    return {name: value for name, value in found.items() if value}


def check_proxies(*, container: bool = False) -> None:
    """Raise MachineError for a proxy that no download can use.

    container  the downloads are a container's, for which localhost is another machine
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
    """Return the proxies for a container, by both of their names; MachineError for one that it cannot use."""
    check_proxies(container=True)
    return {each: value for name, value in find_proxies().items() for each in (name, name.upper())}


def take_proxies() -> None:
    """Take over the proxies of the file that the environment names: how a container is given them.

    What is in a container's own environment can be read by all who may ask the Engine, and proxies have passwords.
    """
    file = os.environ.pop(FILE, "")
    if not file:
        return
    try:
        proxies = load_json(read_text(Path(file)))
    except ValueError as error:
        raise _no_proxies(file, str(error)) from None
    texts = proxies.values() if isinstance(proxies, dict) else [None]
    if not all(isinstance(each, str) and "\0" not in each for each in texts):
        raise _no_proxies(file, "found something other than an object of strings")
    os.environ.update({name: proxies[name] for name in PASSED if name in proxies})


def _no_proxies(file: str, problem: str) -> MachineError:
    return MachineError(f"{FILE}: {file} cannot be read: {problem}", hint="this is a bug; please report it")


def has_password() -> bool:
    """Say whether a proxy is named with a password."""
    return any(urlsplit(value).password for name, value in find_proxies().items() if name != "no_proxy")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_hosts(*hosts: str | None) -> tuple[str, ...]:
    """Return what a container must be told to reach its Engine's machine, where one of the hosts or a proxy is that:
    Docker Desktop has this name by itself, other Engines give it to those who ask."""
    proxies = (urlsplit(value).hostname for name, value in find_proxies().items() if name != "no_proxy")
    return (f"{HERE}:host-gateway",) if HERE in (*hosts, *proxies) else ()
