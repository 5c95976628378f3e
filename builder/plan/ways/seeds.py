# SPDX-License-Identifier: MIT
"""Harmless keys of cloud-init's seeds, and the form of their values.

The keys are those of https://docs.cloud-init.io/en/latest/reference/modules.html. Any other key may grant access, run a
command or write a file. Texts must have a form, because cloud-init writes them into files of other programs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _fits(pattern: str) -> Check:
    """Return a check that a value, as text, matches a pattern."""
    form = re.compile(pattern)
    return lambda value: isinstance(value, str | int | float) and form.fullmatch(str(value)) is not None


def _is_one_of(*allowed: Any) -> Check:
    return lambda value: any(value is option or (isinstance(value, str) and value == option) for option in allowed)


def _each(check: Check) -> Check:
    """Return a check that a value is a list whose items all pass `check`."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def _has_only(**checks: Check) -> Check:
    """Return a check that a value is a mapping with only these keys, whose values pass their checks."""
    return lambda value: isinstance(value, dict) and has_only(value, checks)


def has_only(content: Mapping[Any, Any], allowed: Mapping[str, Check]) -> bool:
    """Return whether all keys and values are allowed. cloud-init takes "-" for "_" in some keys."""
    for key, value in content.items():
        check = allowed.get(str(key).replace("-", "_"))
        if check is None or not (value is None or value == "" or check(value)):
            return False
    return True


_WORD = _fits("[A-Za-z0-9][A-Za-z0-9_.:-]{0,250}")
_WORDS = _fits("[A-Za-z0-9_.,:+ -]{0,250}")
_ZONE = _fits("[A-Za-z0-9][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}")
_SIZE = _fits("auto|[0-9]{1,15}[KMGTB]?")
_PACKAGE = _fits("[a-z0-9][a-z0-9+.-]*[a-z0-9+](=[A-Za-z0-9.+~:-]+)?")
"""Name of a package. Not allowed: a path, which is a .deb of the image, and "NAME-", which removes a package."""
_PROXY = _fits("https?://[A-Za-z0-9_.-]+(:[0-9]{1,5})?/?")

USER_DATA: Mapping[str, Check] = {
    "hostname": _WORD,
    "fqdn": _WORD,
    "prefer_fqdn_over_hostname": _is_bool,
    "preserve_hostname": _is_bool,
    "create_hostname_file": _is_bool,
    "manage_etc_hosts": _is_one_of(True, False, "localhost", "template"),
    "locale": _WORD,
    "timezone": _ZONE,
    "keyboard": _has_only(layout=_WORDS, model=_WORDS, variant=_WORDS, options=_WORDS),
    "growpart": _has_only(
        mode=_is_one_of("auto", "growpart", "off", False), ignore_growroot_disabled=_is_bool, devices=_each(_fits("/"))
    ),
    "resize_rootfs": _is_one_of(True, False, "noblock"),
    "swap": _has_only(filename=_fits("/[A-Za-z0-9_.-]{1,99}"), size=_SIZE, maxsize=_SIZE),
    "package_update": _is_bool,
    "package_upgrade": _is_bool,
    "package_reboot_if_required": _is_bool,
    "packages": _each(lambda value: _PACKAGE(value) or _each(_PACKAGE)(value)),
    "ntp": _has_only(enabled=_is_bool, servers=_each(_WORD), pools=_each(_WORD)),
    "apt": _has_only(
        preserve_sources_list=_is_bool, proxy=_PROXY, http_proxy=_PROXY, https_proxy=_PROXY, ftp_proxy=_PROXY
    ),
    "power_state": _has_only(
        mode=_is_one_of("reboot", "poweroff", "halt"),
        delay=_fits(r"now|\+?[0-9]{1,5}"),
        timeout=_fits("[0-9]{1,6}"),
        message=_WORDS,
        condition=_is_bool,
    ),
    "disable_root": _is_one_of(True),
    "ssh_pwauth": _is_one_of(False),
    "ssh_deletekeys": _is_bool,
    "ssh_genkeytypes": _each(_is_one_of("rsa", "ecdsa", "ed25519")),
    "ssh_quiet_keygen": _is_bool,
    "no_ssh_fingerprints": _is_bool,
    "final_message": _fits("[A-Za-z0-9_.,:;!$ \n-]{0,999}"),
}
META_DATA: Mapping[str, Check] = {
    "instance_id": _WORD,
    "local_hostname": _WORD,
    "hostname": _WORD,
    "cloud_name": _WORD,
    "dsmode": _is_one_of("net", "local", "disabled", "pass"),
}
