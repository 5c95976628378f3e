# SPDX-License-Identifier: MIT
"""What cloud-init and netplan will say of a network-config: version 1 by cloud-init's schema, version 2 by netplan.

cloud-init hands version 2 to netplan as it is, and has a schema for a part of it only; netplan takes no key that it
does not know (https://netplan.readthedocs.io/en/stable/netplan-yaml).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from builder.plan.cloud_config import Fault, find_faults, load_schema
from builder.recipe.nodes import suggest

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
"""Keys of devices that boards have (src/parse.c of netplan 1.2)."""
SWITCHES = ("dhcp4", "dhcp6", "optional", "critical", "wakeonlan", "ignore-carrier", "ipv6-privacy", "accept-ra")
SWITCHED = ("true", "on", "yes", "y", "false", "off", "no", "n")
"""Keys that are on or off, and netplan's words for that."""
ACCESS_POINT = frozenset(["band", "bssid", "hidden", "channel", "mode", "password", "auth", "networkmanager"])
PASSWORD = range(8, 64)
"""Characters of a WPA passphrase; 64 are a key in hex digits."""


def find_network_faults(content: object) -> list[Fault]:
    """Return what is wrong with the mapping below `network`, or with a whole file that does without that key."""
    if not isinstance(content, Mapping):
        return [Fault((), "found no mapping; allowed: version and devices, for example ethernets", is_grave=True)]
    if content.get("version") == 1:
        definitions = load_schema("network-config-v1")["$defs"]
        return find_faults(content, {"$ref": "#/$defs/network_config_version1", "$defs": definitions})
    if content.get("version") != 2:
        return [Fault(("version",), "found no version; allowed: 1, 2", is_grave=True)]
    return list(_find_netplan_faults(content))


def _find_netplan_faults(content: Mapping[str, Any]) -> Iterator[Fault]:
    known = (*OTHERS, *DEVICES)
    for key in content:
        if key not in known:
            words = f"found a key that netplan does not know; allowed: {', '.join(known)}"
            yield Fault((key,), words + suggest(str(key), known), is_grave=True)
    for kind in DEVICES:
        devices = content.get(kind, {})
        if not isinstance(devices, Mapping):
            yield Fault((kind,), "found no mapping; allowed: devices by name", is_grave=True)
            continue
        for name, device in devices.items():
            if not isinstance(device, Mapping):
                yield Fault((kind, name), "found no mapping; allowed: settings, for example dhcp4: true", is_grave=True)
            elif kind in KEYS:
                found = [*_check_device(device, KEYS[kind]), *(_check_wifi(device) if kind == "wifis" else ())]
                yield from (Fault((kind, name, *each.path), each.text, each.is_grave) for each in found)


def _check_device(device: Mapping[str, Any], known: Collection[str]) -> Iterator[Fault]:
    yield from _check_keys(device, known)
    for key in SWITCHES:
        if str(device.get(key, "on")).lower() not in SWITCHED:
            yield Fault((key,), "found another value; allowed: true, false", is_grave=True)
    addresses = device.get("addresses", [])
    if not isinstance(addresses, list):
        yield Fault(("addresses",), "found no list; allowed: addresses, for example [192.168.1.20/24]", is_grave=True)
        return
    for index, address in enumerate(addresses):
        if isinstance(address, str) and "/" not in address:
            words = "found no length of the prefix; allowed: for example 192.168.1.20/24"
            yield Fault(("addresses", index), words, is_grave=True)


def _check_keys(content: Mapping[str, Any], known: Collection[str]) -> Iterator[Fault]:
    for key in content:
        if key not in known:
            words = f"found a key that netplan does not know{suggest(str(key), known)}"
            yield Fault((str(key),), words, is_grave=True)


def _check_wifi(device: Mapping[str, Any]) -> Iterator[Fault]:
    points = device.get("access-points")
    if not isinstance(points, Mapping) or not points:
        yield Fault(("access-points",), "missing; needed: networks by their names (SSID)", is_grave=True)
        return
    for name, point in points.items():
        if point is not None and not isinstance(point, Mapping):
            words = "found no mapping; allowed: password: TEXT, or {} of an open network"
            yield Fault(("access-points", name), words, is_grave=True)
            continue
        for each in _check_keys(point or {}, ACCESS_POINT):
            yield Fault(("access-points", name, *each.path), each.text, each.is_grave)
        password = str((point or {}).get("password", "8 or more"))
        if len(password) not in PASSWORD and len(password) != 64:
            allowed = "8 to 63, or 64 hex digits; leave it out for an open network"
            words = f"found {len(password)} characters; allowed: {allowed}"
            yield Fault(("access-points", name, "password"), words, is_grave=True)
