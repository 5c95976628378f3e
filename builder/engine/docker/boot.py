# SPDX-License-Identifier: MIT
"""Verify or boot an image in a container, by the same program with `--engine local`.

Image and boards are sent; the report or the ssh port come back. The container has no device and no privileges, so QEMU
emulates. It is always removed at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from docker import APIClient
from pydantic import TypeAdapter, ValidationError

from builder import log
from builder.disk.image_file import name_of
from builder.engine.docker.answers import MachineRow, load_machine
from builder.engine.docker.builder_image import make_boot_image, make_builder_image
from builder.engine.docker.connect import engine_errors, open_engine
from builder.engine.docker.console import run_attached
from builder.engine.docker.container import STATE, Job, give_back_leftovers, make_job, releasers
from builder.engine.docker.listen import Pieces, check_end, follow, listen_to_program
from builder.engine.docker.run import started
from builder.engine.docker.transfer import BOARDS, read_file
from builder.errors import BusyError, RecipeError, ToolError, VerifyError
from builder.plan.user_data import check_user_data
from builder.recipe.described import explain
from builder.system.own_module import MODULE
from builder.system.workspace import open_journal
from builder.verify.live.console import check_exit, render_ssh
from builder.verify.live.qemu.command import LOOPBACK
from builder.verify.report import Report
from builder.verify.verify import VerifyOptions, open_scratch, write_reports

IMAGES = "/build/image"
USER_DATA = "/build/inputs/user-data"
MACHINE = "/build/machine"
SSH_PORT = 2222
"""Port of ssh in the container, which the Engine publishes on its machine."""
QEMU_PORT = 2200
"""Port that QEMU forwards to the system's port 22, on the container's loopback interface."""
RELAY = ("socat", f"TCP-LISTEN:{SSH_PORT},fork,reuseaddr", f"TCP:{LOOPBACK}:{QEMU_PORT}")
"""Main program of the container. It makes connections come from QEMU's router. From the Engine's bridge they would have
the address 172.17.0.1, which the Docker Engine of the system uses for its own bridge."""


@dataclass(frozen=True)
class ContainerConsole:
    """A prepared machine in a container."""

    api: APIClient
    container: str
    argv: tuple[str, ...]
    ssh: str
    """The ssh command line to log in."""

    def use(self) -> None:
        """Attach the console to the terminal until the machine is off; ToolError if QEMU fails."""
        check_exit(run_attached(self.api, self.container, self.argv))


def verify_in_docker(path: Path, options: VerifyOptions, state: Path) -> Report:
    """Run the specs on an image file in a container and write the same report as `verify_artefact`.

    Raises the errors of `verify_artefact`, MachineError (no Engine, or no way to make its image), Interrupted.
    """
    reports = options.reports or path.resolve().parent
    if not os.access(reports, os.W_OK):
        raise RecipeError(f"the report cannot be written to {reports}", hint="name another directory with --report")
    make_image = make_boot_image if options.boot else make_builder_image
    with open_engine() as api, open_scratch(state, "verify") as scratch:
        image = make_image(api)
        give_back_leftovers(api, state)
        with open_journal(state, "verify", releasers(api)) as journal:
            job = make_job(image, "verify", _verify_argv(path, options), journal.path, volume="")
            # The level chroot needs the same rights as a build.
            job = replace(job, mounts="chroot" in options.levels, loop=False)
            images = {f"{IMAGES}/{path.name}": path}
            with started(api, job, _inputs(path, options), journal, image=images) as pieces:
                report = _finish(api, job.name, pieces)
                xml = read_file(api, job.name, f"{IMAGES}/{name_of(path)}.specs.xml")
        (scratch / "results.xml").write_bytes(xml)
        write_reports(report, scratch, reports / name_of(path))
    return report


@contextmanager
def open_console_in_docker(
    path: Path, options: VerifyOptions, state: Path, *, ssh_port: int = 0
) -> Iterator[ContainerConsole]:
    """Yield a machine in a container, with a copy of an image file; both are deleted at the end.

    ssh_port  port for the system's ssh, on the loopback interface of the Engine's machine; 0: any free port

    Raises the errors of `open_machine_console`, MachineError (no Engine), BusyError (the port is in use).
    """
    if options.user_data:
        for warning in check_user_data(options.user_data):
            log.warn(warning)
    with ExitStack() as stack:
        api = stack.enter_context(open_engine())
        image = make_boot_image(api)
        give_back_leftovers(api, state)
        key = None if options.user_data else make_key(stack.enter_context(open_scratch(state, "boot")))
        journal = stack.enter_context(open_journal(state, "boot", releasers(api)))
        job = make_job(image, "boot", RELAY, journal.path, volume="")
        job = replace(job, mounts=False, ports={SSH_PORT: ssh_port}, stop_signal="SIGKILL")
        inputs = _inputs(path, options)
        if key:
            inputs[f"{MACHINE}/id.pub"] = key.with_suffix(".pub")
        with _port_errors(ssh_port):
            stack.enter_context(started(api, job, inputs, journal, image={f"{IMAGES}/{path.name}": path}))
        machine = _prepare(api, job, path, options)
        port, host = _find_port(api, job.name), find_host(api)
        if host:
            log.note(f"the machine runs on {host}; port {port} is open there on 127.0.0.1 only")
        ssh = render_ssh(port, machine.user, key, jump=host)
        yield ContainerConsole(api, job.name, tuple(machine.argv), ssh)


def make_key(directory: Path) -> Path:
    """Make an ssh key without ssh-keygen and return the file of its private key, which never leaves this machine."""
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415 - the builder image has none
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key, path = Ed25519PrivateKey.generate(), directory.resolve() / "id"
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    path.touch(mode=0o600)
    path.write_bytes(private)
    path.with_suffix(".pub").write_bytes(public + b" boardwright\n")
    return path


def find_host(api: APIClient) -> str:
    """Return the host name of the Engine's machine; "" if it is this machine."""
    host = urlsplit(api.base_url).hostname or ""
    is_here = not api.base_url.startswith(("http://", "https://")) or host in ("localhost", "127.0.0.1", "::1")
    return "" if is_here else host


def _prepare(api: APIClient, job: Job, path: Path, options: VerifyOptions) -> MachineRow:
    """Prepare the machine in the container and return its command line and user."""
    argv = (*_argv("boot", path, options), "--prepare", MACHINE, "--ssh-port", str(QEMU_PORT))
    with listen_to_program(api, job.name, argv) as (pieces, find_code):
        events = follow(api, job.name, pieces, what="boot")
    code = find_code()
    if code or events.result is None:
        raise events.failure(code, killed="")
    return load_machine(events.result)


def _finish(api: APIClient, name: str, pieces: Pieces) -> Report:
    """Follow the specs to their end and return the report; the caller checks it for failures."""
    events = follow(api, name, pieces, what="verification")
    try:
        check_end(api, name, events)
    except VerifyError:
        if events.result is None:
            raise
    try:
        return TypeAdapter(Report).validate_python(events.result)
    except ValidationError as error:
        raise ToolError(
            f"invalid report from the container: {explain(error)}", hint="this is a bug; please report it"
        ) from error


def _find_port(api: APIClient, name: str) -> int:
    with engine_errors("asking for the port of ssh"):
        ports = api.inspect_container(name)["NetworkSettings"]["Ports"].get(f"{SSH_PORT}/tcp")
    if not ports:
        raise ToolError("the Docker Engine published no port for ssh", hint="check the Engine: docker info")
    return int(ports[0]["HostPort"])


@contextmanager
def _port_errors(port: int) -> Iterator[None]:
    try:
        yield
    except ToolError as error:
        if not port or f":{port}" not in error.message:
            raise
        raise BusyError(
            f"--ssh-port: {port} is in use on the Engine's machine", hint="choose another port, or 0 for a free one"
        ) from error


def _verify_argv(path: Path, options: VerifyOptions) -> tuple[str, ...]:
    return (
        *_argv("verify", path, options),
        *("--level", options.levels[-1]),
        *(["--boot"] if options.boot else []),
        *(["--only", options.only] if options.only else []),
    )


def _argv(verb: str, path: Path, options: VerifyOptions) -> tuple[str, ...]:
    return (
        *("python3", *MODULE, "builder", verb, f"{IMAGES}/{path.name}"),
        *("--json", "--engine", "local", "--boards", BOARDS, "--state", STATE),
        *(["--board", options.board] if options.board else []),
        *(["--user-data", USER_DATA] if options.user_data else []),
    )


def _inputs(path: Path, options: VerifyOptions) -> dict[str, Path]:
    """Return the inputs besides the image: boards, user-data, the build's list of packages."""
    packages = path.with_name(f"{name_of(path)}.packages")
    return {
        BOARDS: options.boards,
        **({USER_DATA: options.user_data} if options.user_data else {}),
        **({f"{IMAGES}/{packages.name}": packages} if packages.is_file() else {}),
    }
