# SPDX-License-Identifier: MIT
"""What a running system says of itself. Everything is asked once, in one command, when a spec first wants it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from builder.verify.live.kernel_log import find_trouble
from builder.verify.live.ssh import Bench

PUBLIC_KEYS = "cat /etc/ssh/ssh_host_*_key.pub | cut -d ' ' -f 1,2 | sort"


@dataclass(frozen=True)
class Listener:
    """A socket that waits for others."""

    protocol: str
    """tcp or udp."""
    address: str
    port: int
    program: str
    unit: str = ""
    """The unit that it is of, or that a socket of systemd starts."""

    @property
    def is_local(self) -> bool:
        """Say whether only this system reaches it."""
        return self.address.startswith(("127.", "[::1]"))


class System:
    """A running system, between two starts."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def keep_identity(self) -> None:
        """Ask now what is compared after the next start."""
        for name in ("machine_id", "host_keys", "boot_id"):
            getattr(self, name)

    @cached_property
    def cloud_init(self) -> Mapping[str, Any]:
        """What cloud-init says of the boot."""
        answer = self.bench.call("cloud-init status --format json")
        return dict(json.loads(answer.stdout))

    @cached_property
    def state(self) -> str:
        """systemd's word for the whole: running, degraded …"""
        return self.bench.call("systemctl is-system-running --wait").stdout.strip()

    @cached_property
    def failed_units(self) -> list[str]:
        """Units that failed."""
        said = self.bench.ask("systemctl list-units --failed --plain --no-legend")
        return [line.split()[0] for line in said.splitlines()]

    @cached_property
    def machine_id(self) -> str:
        """The machine's id."""
        return self.bench.ask("cat /etc/machine-id")

    @cached_property
    def host_keys(self) -> list[str]:
        """The public ssh host keys."""
        return self.bench.ask(PUBLIC_KEYS).splitlines()

    @cached_property
    def boot_id(self) -> str:
        """Another one at each start."""
        return self.bench.ask("cat /proc/sys/kernel/random/boot_id")

    @cached_property
    def kernel_trouble(self) -> list[str]:
        """What should not be in the kernel's log."""
        return find_trouble(self.bench.ask("sudo dmesg").splitlines(), emulated=self.bench.machine is not None)

    @cached_property
    def kernel_cmdline(self) -> list[str]:
        """The words of the kernel's command line."""
        return self.bench.ask("cat /proc/cmdline").split()

    def try_module(self, name: str) -> str:
        """Load a kernel module; return why not, or nothing."""
        return self.bench.call(f"sudo modprobe {name}").stderr.strip()

    @cached_property
    def release(self) -> Mapping[str, str]:
        """/etc/os-release."""
        return dict(re.findall(r'^(\w+)="?(.*?)"?$', self.bench.ask("cat /etc/os-release"), re.MULTILINE))

    @cached_property
    def mounts(self) -> Mapping[str, Mapping[str, Any]]:
        """What is mounted, by its place."""
        said = self.bench.ask("findmnt --json --list --bytes --output TARGET,FSTYPE,PARTUUID,OPTIONS,SIZE,SOURCE")
        return {row["target"]: row for row in json.loads(said)["filesystems"]}

    @cached_property
    def disk_bytes(self) -> int:
        """Size of the disk that the root filesystem is on."""
        root = self.mounts["/"]["source"]
        return int(self.bench.ask(f"lsblk --bytes --nodeps --noheadings --output SIZE /dev/$(lsblk -no PKNAME {root})"))

    @cached_property
    def listeners(self) -> list[Listener]:
        """Sockets that wait for others."""
        said = self.bench.ask("sudo ss --no-header --listening --tcp --udp --numeric --processes --cgroup")
        sockets = json.loads(self.bench.ask("systemctl list-sockets --all --output json"))
        return [load_listener(line, sockets) for line in said.splitlines()]

    def find_unit_file(self, unit: str) -> str:
        """Return the file that a unit is read from; of an instance (sshd@1.service) that of its template."""
        return self.bench.ask(f"systemctl show --property FragmentPath --value -- {shlex.quote(unit)}").strip()

    @cached_property
    def active_units(self) -> set[str]:
        """Units that are active."""
        said = self.bench.ask("systemctl list-units --state=active --plain --no-legend --all")
        return {line.split()[0] for line in said.splitlines()}

    @cached_property
    def groups(self) -> set[str]:
        """Groups of who logged in."""
        return set(self.bench.ask("id --groups --name").split())

    @cached_property
    def docker(self) -> Mapping[str, Any]:
        """`docker info`."""
        return dict(json.loads(self.bench.ask("docker info --format '{{json .}}'")))

    @cached_property
    def docker_version(self) -> Mapping[str, Any]:
        """`docker version`."""
        return dict(json.loads(self.bench.ask("docker version --format '{{json .}}'")))


def load_listener(line: str, sockets: Sequence[Mapping[str, str]]) -> Listener:
    """Return a line of ss(8); `sockets` are those that systemd waits at for others, of `systemctl list-sockets`."""
    fields = line.split()
    address, _, port = fields[4].rpartition(":")
    program = re.search(r'users:\(\("([^"]+)"', line)
    group = re.search(r"cgroup:(\S+)", line)
    unit = next((row["unit"] for row in sockets if row["listen"].endswith(f":{port}")), "")
    if not program or program[1] != "systemd":
        unit = group[1].rpartition("/")[2] if group else ""
    return Listener(fields[0], address.partition("%")[0], int(port), program[1] if program else "", unit)
