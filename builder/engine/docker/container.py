# SPDX-License-Identifier: MIT
"""A container of ours: what it may do, how it is made, how it is given back.

It has what mounts, loop devices and a private binfmt_misc need, and no more: SYS_ADMIN without seccomp and AppArmor
filters, a whole /proc, the loop devices. It is not privileged (that fails where the Engine lacks a capability, and
gives every device away), and nothing of the host is mounted into it, so that the Engine may be on another machine.
State that outlives it (rooms, journals, caches) is in a named volume. One that boots an image has none of all that.

A container is entered in this machine's journal before it is made. Its labels name that journal, so that `doctor`
can tell one whose owner is dead from one at work, and ours from another machine's on the same Engine.
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
"""Named volume of the Engine. It holds what outlives a container."""
STATE = "/var/lib/boardwright"
LOOP_CONTROL = "/dev/loop-control"

PROXIES = "/build/inputs/proxies"
"""Where a container has the proxies, for its root alone."""
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
    """Named volume of the Engine for what outlives the container; none where it is empty."""
    environment: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    """Names of hosts that only this container knows, each as NAME:ADDRESS."""
    stdin: bool = False
    tty: bool = False
    loop: bool = True
    """Whether the Engine's machine has loop devices."""
    mounts: bool = True
    """Whether it may mount, as builds must; else it may do less than Docker's containers usually may."""
    stop_signal: str = "SIGTERM"
    """What ends it in order; a program that does not listen must be killed."""
    ports: Mapping[int, int] = field(default_factory=dict)
    """Its ports that the loopback interface of the Engine's machine has too, with the port there; 0: a free one."""


def make_job(image: str, board: str, argv: tuple[str, ...], journal: Path, *, volume: str = VOLUME) -> Job:
    """Name and label a container that the owner of `journal` is about to make."""
    build = os.urandom(4).hex()
    labels = {
        LABEL_BUILD: build,
        LABEL_BOARD: board,
        LABEL_HOST: platform.node(),
        LABEL_JOURNAL: str(journal.resolve()),
    }
    return Job(f"boardwright-{board}-{build}", image, argv, labels, volume)


def create(api: APIClient, job: Job) -> None:
    """Make the container, not yet running."""
    proxies = pass_proxies()
    config = _config(job, {FILE: PROXIES} if proxies else {})
    # The Engine finishes what it was asked: a container that appears after it was looked for would stay.
    with engine_errors(f"creating the container {job.name}"), held_off():
        api.create_container_from_config(config, job.name)  # type: ignore[no-untyped-call]
    if proxies:
        put_secrets(api, job.name, {PROXIES: dump_json(proxies).encode()})


def is_missing_loop_control(error: APIError) -> bool:
    """Say whether a start failed because the Engine's machine has no loop devices."""
    return LOOP_CONTROL in str(error.explanation)


def releasers(api: APIClient) -> Mapping[ResourceKind, Releaser]:
    """Return how every kind of resource is given back, containers included."""
    return {**RELEASERS, "container": lambda name: remove(api, name)}


def give_back_leftovers(api: APIClient, state: Path) -> None:
    """Give back what builds of this machine that are gone left behind."""
    for leftovers in find_leftovers(state):
        log.note(f"giving back what an interrupted build left ({len(leftovers.held)} things)")
        release(leftovers, of_ours(releasers(api)))


def find_orphans(api: APIClient, state: Path) -> list[str]:
    """Return the containers that this machine made from this state directory and whose journal nobody holds."""
    with engine_errors("listing the containers"):
        containers = api.containers(all=True, filters={"label": f"{LABEL_HOST}={platform.node()}"})
    journals = (state / "journals").resolve()
    return [
        str(container["Names"][0]).lstrip("/")
        for container in containers
        if (journal := Path(container["Labels"].get(LABEL_JOURNAL, ""))).parent == journals and not is_held(journal)
    ]


def remove(api: APIClient, name: str) -> None:
    """Remove a container, running or not; at rest when it is gone already."""
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
    """The body of the Engine API's ContainerCreate; the SDK's own builder cannot say MaskedPaths."""
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
    """Return what a build inside tells others that want to build the same board."""
    return {CONTAINER: f"container {job.name}, started on {platform.node()}"}


def _mounting(job: Job) -> dict[str, Any]:
    return {
        "CapAdd": ["SYS_ADMIN"],
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        # The command line's `systempaths=unconfined`: the kernel refuses a fresh /proc while parts are masked.
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "Devices": [_device(LOOP_CONTROL)] if job.loop else [],
        "DeviceCgroupRules": ["b 7:* rmw"],
    }


def _device(path: str) -> dict[str, str]:
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}
