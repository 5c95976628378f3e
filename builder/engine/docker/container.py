# SPDX-License-Identifier: MIT
"""Create and remove our containers, with the rights that they need.

A build's container has only the rights that mounts, loop devices and a private binfmt_misc need. These are SYS_ADMIN
without seccomp and AppArmor filters, an unmasked /proc, and the loop devices. It is not privileged: that fails if the
Engine lacks a capability, and gives access to every device. No path of the host is mounted, so the Engine may be on
another machine. State that outlives it (rooms, journals, caches) is in a named volume. A container that boots an image
has none of this.

A container is written to this machine's journal before it is created. Its labels name that journal. So `doctor` can
distinguish a container whose owner is dead from a running one, and ours from those of another machine.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from builder import log
from builder.engine.docker.connect import engine_errors
from builder.engine.docker.transfer import put_secrets
from builder.system.lock_holder import CONTAINER
from builder.system.locks import is_held
from builder.system.proxy import FILE, find_hosts, pass_proxies
from builder.system.signals import held_off
from builder.system.trusted_state import of_ours
from builder.system.workspace import RELEASERS, Releaser, ResourceKind, find_leftovers, release
from builder.text import dump_json

VOLUME = os.environ.get("BOARDWRIGHT_VOLUME") or "boardwright-state"
"""Named volume of the Engine for state that outlives a container."""
STATE = "/var/lib/boardwright"
LOOP_CONTROL = "/dev/loop-control"

PROXIES = "/build/inputs/proxies"
"""File of the proxies in a container, readable by its root only."""
LABEL_BUILD = "boardwright.build"
LABEL_BOARD = "boardwright.board"
LABEL_HOST = "boardwright.host"
LABEL_JOURNAL = "boardwright.journal"


@dataclass(frozen=True)
class Job:
    """A program to run in a container."""

    name: str
    """Name of the container, entered in the journal."""
    image: str
    argv: tuple[str, ...]
    labels: Mapping[str, str]
    volume: str = VOLUME
    """Named volume of the Engine for state that outlives the container; "": no volume."""
    environment: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    """Additional host names for this container, each as NAME:ADDRESS."""
    stdin: bool = False
    tty: bool = False
    loop: bool = True
    """True if the Engine's machine has loop devices."""
    mounts: bool = True
    """True if it may mount, as builds must; else it has fewer rights than Docker's default."""
    stop_signal: str = "SIGTERM"
    """Signal that stops it; SIGKILL for a program that ignores other signals."""
    ports: Mapping[int, int] = field(default_factory=dict)
    """Published ports: port in the container → port on the loopback of the Engine's machine; 0: a free one."""


def make_job(image: str, board: str, argv: tuple[str, ...], journal: Path, *, volume: str = VOLUME) -> Job:
    """Return a job with a unique name and with labels for the owner of `journal`."""
    build = os.urandom(4).hex()
    labels = {
        LABEL_BUILD: build,
        LABEL_BOARD: board,
        LABEL_HOST: platform.node(),
        LABEL_JOURNAL: str(journal.resolve()),
    }
    return Job(f"boardwright-{board}-{build}", image, argv, labels, volume)


def create(api: APIClient, job: Job) -> None:
    """Create the container; it is not started yet."""
    proxies = pass_proxies()
    config = _config(job, {FILE: PROXIES} if proxies else {})
    # The Engine finishes a request after ^C: a container that appears after the clean-up would stay.
    with engine_errors(f"creating the container {job.name}"), held_off():
        api.create_container_from_config(config, job.name)  # type: ignore[no-untyped-call]
    if proxies:
        put_secrets(api, job.name, {PROXIES: dump_json(proxies).encode()})


def is_missing_loop_control(error: APIError) -> bool:
    """Return whether a start failed because the Engine's machine has no loop devices."""
    return LOOP_CONTROL in str(error.explanation)


def releasers(api: APIClient) -> Mapping[ResourceKind, Releaser]:
    """Return the functions that release each kind of resource, with containers."""
    return {**RELEASERS, "container": lambda name: remove(api, name)}


def give_back_leftovers(api: APIClient, state: Path) -> None:
    """Release the resources of builds on this machine whose process is dead."""
    for leftovers in find_leftovers(state):
        log.note(f"releasing {len(leftovers.held)} leftovers of an interrupted build")
        release(leftovers, of_ours(releasers(api)))


def find_orphans(api: APIClient, state: Path) -> list[str]:
    """Return containers of this machine and state directory whose journal has no living owner."""
    with engine_errors("listing the containers"):
        containers = api.containers(all=True, filters={"label": f"{LABEL_HOST}={platform.node()}"})
    journals = (state / "journals").resolve()
    return [
        str(container["Names"][0]).lstrip("/")
        for container in containers
        if (journal := Path(container["Labels"].get(LABEL_JOURNAL, ""))).parent == journals and not is_held(journal)
    ]


def remove(api: APIClient, name: str) -> None:
    """Remove a container, running or not; does nothing if it is already removed."""
    with engine_errors(f"removing the container {name}"):
        try:
            with held_off():
                api.remove_container(name, force=True)
        except NotFound:
            return
        except APIError as error:
            if "already in progress" not in str(error.explanation):
                raise
            _wait_removed(api, name)


def _wait_removed(api: APIClient, name: str) -> None:
    try:
        api.wait(name, condition="removed")
    except NotFound:
        return


def _config(job: Job, proxies: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of the Engine API's ContainerCreate; the SDK's own builder has no MaskedPaths."""
    return {
        "Image": job.image,
        "Cmd": list(job.argv),
        "Env": [f"{name}={value}" for name, value in {**_holder(job), **job.environment, **proxies}.items()],
        "Labels": dict(job.labels),
        "StopSignal": job.stop_signal,
        "Tty": job.tty,
        "OpenStdin": job.stdin,
        "StdinOnce": job.stdin,
        "AttachStdin": job.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "ExposedPorts": {f"{port}/tcp": {} for port in job.ports},
        "HostConfig": {
            **(_mounting(job) if job.mounts else {"CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]}),
            "ExtraHosts": list(dict.fromkeys([*job.hosts, *find_hosts()])),
            "Mounts": [{"Type": "volume", "Source": job.volume, "Target": STATE}] if job.volume else [],
            "PortBindings": {
                f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outside)}]
                for port, outside in job.ports.items()
            },
        },
    }


def _holder(job: Job) -> dict[str, str]:
    """Return the lock holder's description, shown to other builds that wait for the same board."""
    return {CONTAINER: f"container {job.name}, started on {platform.node()}"}


def _mounting(job: Job) -> dict[str, Any]:
    return {
        "CapAdd": ["SYS_ADMIN"],
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        # `systempaths=unconfined` of the command line: the kernel refuses a new /proc mount while parts are masked.
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "Devices": [_device(LOOP_CONTROL)] if job.loop else [],
        "DeviceCgroupRules": ["b 7:* rmw"],
    }


def _device(path: str) -> dict[str, str]:
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}
