# SPDX-License-Identifier: MIT
"""Check a network-config: version 1 by cloud-init's schema, version 2 by netplan's keys.

cloud-init passes version 2 to netplan unchanged, and has a schema for a part of it only. netplan refuses unknown keys
(https://netplan.readthedocs.io/en/stable/netplan-yaml).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from builder.plan.cloud_config import ConfigFault, find_faults, load_schema
from builder.recipe.nodes import suggest
from builder.recipe.phrases import join_options

DEVICES = (
    *("ethernets", "wifis", "bonds", "bridges", "vlans", "tunnels", "modems", "vrfs", "dummy-devices"),
    *("virtual-ethernets", "nm-devices"),
)
OTHERS = ("version", "renderer", "openvswitch")
_ANY = """
    accept-ra activation-mode addresses critical ignore-carrier dhcp4 dhcp6 dhcp-identifier dhcp4-overrides
    dhcp6-overrides ra-overrides gateway4 gateway6 ipv6-address-generation ipv6-address-token ipv6-mtu ipv6-privacy
    link-local macaddress mtu nameservers optional optional-addresses renderer routes routing-policy hairpin
    port-mac-learning neigh-suppress networkmanager openvswitch match set-name wakeonlan wakeonwlan emit-lldp
    receive-checksum-offload transmit-checksum-offload tcp-segmentation-offload tcp6-segmentation-offload
    generic-segmentation-offload generic-receive-offload large-receive-offload auth
"""
_ETHERNET = "link virtual-function-count embedded-switch-mode delay-virtual-functions-rebind infiniband-mode"
KEYS: Mapping[str, frozenset[str]] = {
    "ethernets": frozenset((_ANY + _ETHERNET).split()),
    "wifis": frozenset((_ANY + "access-points regulatory-domain").split()),
}
"""Keys of the device types that boards have (src/parse.c of netplan 1.2)."""
SWITCHES = ("dhcp4", "dhcp6", "optional", "critical", "wakeonlan", "ignore-carrier", "ipv6-privacy", "accept-ra")
SWITCHED = ("true", "on", "yes", "y", "false", "off", "no", "n")
"""Boolean keys, and netplan's boolean values."""
ACCESS_POINT = frozenset(["band", "bssid", "hidden", "channel", "mode", "password", "auth", "networkmanager"])
PASSWORD = range(8, 64)
"""Number of characters of a WPA passphrase; 64 characters are a key in hex digits."""


def find_network_faults(content: object) -> list[ConfigFault]:
    """Return the faults of the mapping below `network`, or of a whole file without that key."""
    if not isinstance(content, Mapping):
        return [ConfigFault((), "found no mapping; expected version and devices, for example ethernets", is_grave=True)]
    if content.get("version") == 1:
        definitions = load_schema("network-config-v1")["$defs"]
        return find_faults(content, {"$ref": "#/$defs/network_config_version1", "$defs": definitions})
    if content.get("version") != 2:
        return [ConfigFault(("version",), "found no version; expected 1 or 2", is_grave=True)]
    return list(_find_netplan_faults(content))


def _find_netplan_faults(content: Mapping[str, Any]) -> Iterator[ConfigFault]:
    known = (*OTHERS, *DEVICES)
    for key in content:
        if key not in known:
            unknown = f"found a key that netplan does not know; expected {join_options(known)}"
            yield ConfigFault((key,), unknown + suggest(str(key), known), is_grave=True)
    for kind in DEVICES:
        devices = content.get(kind, {})
        if not isinstance(devices, Mapping):
            yield ConfigFault((kind,), "found no mapping; expected devices by name", is_grave=True)
            continue
        for name, device in devices.items():
            if not isinstance(device, Mapping):
                message = "found no mapping; expected settings, for example dhcp4: true"
                yield ConfigFault((kind, name), message, is_grave=True)
            elif kind in KEYS:
                faults = [*_check_device(device, KEYS[kind]), *(_check_wifi(device) if kind == "wifis" else ())]
                yield from (ConfigFault((kind, name, *fault.path), fault.text, fault.is_grave) for fault in faults)


def _check_device(device: Mapping[str, Any], known: Collection[str]) -> Iterator[ConfigFault]:
    yield from _check_keys(device, known)
    for key in SWITCHES:
        if str(device.get(key, "on")).lower() not in SWITCHED:
            yield ConfigFault((key,), "found another value; expected true or false", is_grave=True)
    addresses = device.get("addresses", [])
    if not isinstance(addresses, list):
        yield ConfigFault(
            ("addresses",), "found no list; expected addresses, for example [192.168.1.20/24]", is_grave=True
        )
        return
    for index, address in enumerate(addresses):
        if isinstance(address, str) and "/" not in address:
            missing = "found no prefix length; expected one, for example 192.168.1.20/24"
            yield ConfigFault(("addresses", index), missing, is_grave=True)


def _check_keys(content: Mapping[str, Any], known: Collection[str]) -> Iterator[ConfigFault]:
    for key in content:
        if key not in known:
            unknown = f"found a key that netplan does not know{suggest(str(key), known)}"
            yield ConfigFault((str(key),), unknown, is_grave=True)


def _check_wifi(device: Mapping[str, Any]) -> Iterator[ConfigFault]:
    points = device.get("access-points")
    if not isinstance(points, Mapping) or not points:
        yield ConfigFault(("access-points",), "missing; expected networks by name (SSID)", is_grave=True)
        return
    for name, point in points.items():
        if point is not None and not isinstance(point, Mapping):
            message = "found no mapping; expected password: TEXT, or {} for an open network"
            yield ConfigFault(("access-points", name), message, is_grave=True)
            continue
        for fault in _check_keys(point or {}, ACCESS_POINT):
            yield ConfigFault(("access-points", name, *fault.path), fault.text, fault.is_grave)
        password = str((point or {}).get("password", "8 or more"))
        if len(password) not in PASSWORD and len(password) != 64:
            expected = "8 to 63, or 64 hex digits; leave it out for an open network"
            message = f"found {len(password)} characters; expected {expected}"
            yield ConfigFault(("access-points", name, "password"), message, is_grave=True)
