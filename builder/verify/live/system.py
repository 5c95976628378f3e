# SPDX-License-Identifier: MIT
"""Facts of a running system. Each is read by one command at its first use, and then cached."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from builder.verify.live.kernel_log import find_trouble
from builder.verify.live.ssh import LiveSystem

PUBLIC_KEYS = "cat /etc/ssh/ssh_host_*_key.pub | cut -d ' ' -f 1,2 | sort"


@dataclass(frozen=True)
class Listener:
    """A listening socket."""

    protocol: str
    """tcp or udp."""
    address: str
    port: int
    program: str
    unit: str = ""
    """The unit that owns the socket, or that systemd starts for it."""

    @property
    def is_local(self) -> bool:
        """True if the socket is bound to a loopback address."""
        return self.address.startswith(("127.", "[::1]"))


class System:
    """A running system, during one boot."""

    def __init__(self, live: LiveSystem) -> None:
        self.live = live

    def keep_identity(self) -> None:
        """Read the values that specs compare after the next boot."""
        for name in ("machine_id", "host_keys", "boot_id"):
            getattr(self, name)

    @cached_property
    def cloud_init(self) -> Mapping[str, Any]:
        """Status of cloud-init."""
        answer = self.live.call("cloud-init status --format json")
        return dict(json.loads(answer.stdout))

    @cached_property
    def state(self) -> str:
        """State of the system in systemd: running, degraded …"""
        return self.live.call("systemctl is-system-running --wait").stdout.strip()

    @cached_property
    def failed_units(self) -> list[str]:
        """Names of failed units."""
        output = self.live.ask("systemctl list-units --failed --plain --no-legend")
        return [line.split()[0] for line in output.splitlines()]

    @cached_property
    def machine_id(self) -> str:
        """The machine's id."""
        return self.live.ask("cat /etc/machine-id")

    @cached_property
    def host_keys(self) -> list[str]:
        """The public ssh host keys."""
        return self.live.ask(PUBLIC_KEYS).splitlines()

    @cached_property
    def boot_id(self) -> str:
        """The id of this boot."""
        return self.live.ask("cat /proc/sys/kernel/random/boot_id")

    @cached_property
    def kernel_trouble(self) -> list[str]:
        """Errors in the kernel's log."""
        return find_trouble(self.live.ask("sudo dmesg").splitlines(), emulated=self.live.machine is not None)

    @cached_property
    def kernel_cmdline(self) -> list[str]:
        """Parameters of the kernel's command line."""
        return self.live.ask("cat /proc/cmdline").split()

    def try_module(self, name: str) -> str:
        """Load a kernel module and return the error, or ""."""
        return self.live.call(f"sudo modprobe {name}").stderr.strip()

    @cached_property
    def release(self) -> Mapping[str, str]:
        """Values of /etc/os-release."""
        return dict(re.findall(r'^(\w+)="?(.*?)"?$', self.live.ask("cat /etc/os-release"), re.MULTILINE))

    @cached_property
    def mounts(self) -> Mapping[str, Mapping[str, Any]]:
        """Mounted filesystems, by mount point."""
        output = self.live.ask("findmnt --json --list --bytes --output TARGET,FSTYPE,PARTUUID,OPTIONS,SIZE,SOURCE")
        return {row["target"]: row for row in json.loads(output)["filesystems"]}

    @cached_property
    def disk_bytes(self) -> int:
        """Size of the disk that the root filesystem is on."""
        root = self.mounts["/"]["source"]
        return int(self.live.ask(f"lsblk --bytes --nodeps --noheadings --output SIZE /dev/$(lsblk -no PKNAME {root})"))

    @cached_property
    def listeners(self) -> list[Listener]:
        """Listening sockets."""
        output = self.live.ask("sudo ss --no-header --listening --tcp --udp --numeric --processes --cgroup")
        sockets = json.loads(self.live.ask("systemctl list-sockets --all --output json"))
        return [load_listener(line, sockets) for line in output.splitlines()]

    def find_unit_file(self, unit: str) -> str:
        """Return the file of a unit; for an instance (sshd@1.service), that of its template."""
        return self.live.ask(f"systemctl show --property FragmentPath --value -- {shlex.quote(unit)}").strip()

    @cached_property
    def active_units(self) -> set[str]:
        """Names of active units."""
        output = self.live.ask("systemctl list-units --state=active --plain --no-legend --all")
        return {line.split()[0] for line in output.splitlines()}

    @cached_property
    def groups(self) -> set[str]:
        """Groups of the ssh user."""
        return set(self.live.ask("id --groups --name").split())

    @cached_property
    def docker(self) -> Mapping[str, Any]:
        """Output of `docker info`."""
        return dict(json.loads(self.live.ask("docker info --format '{{json .}}'")))

    @cached_property
    def docker_version(self) -> Mapping[str, Any]:
        """Output of `docker version`."""
        return dict(json.loads(self.live.ask("docker version --format '{{json .}}'")))


def load_listener(line: str, sockets: Sequence[Mapping[str, str]]) -> Listener:
    """Return the listener of a line of ss(8); `sockets` is the output of `systemctl list-sockets`."""
    fields = line.split()
    address, _, port = fields[4].rpartition(":")
    program = re.search(r'users:\(\("([^"]+)"', line)
    group = re.search(r"cgroup:(\S+)", line)
    unit = next((row["unit"] for row in sockets if row["listen"].endswith(f":{port}")), "")
    if not program or program[1] != "systemd":
        unit = group[1].rpartition("/")[2] if group else ""
    return Listener(fields[0], address.partition("%")[0], int(port), program[1] if program else "", unit)
