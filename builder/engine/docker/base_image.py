# SPDX-License-Identifier: MIT
"""The image that Dockerfile.builder starts from: Debian trixie.

Taken from the Engine if it is there, else pulled. Where no registry answers (an air-gapped site, a CI without one)
the same thing is made from the Debian mirror with mmdebstrap and imported; what that needs and is missing is installed
with apt-get, where this process may. BOARDWRIGHT_BASE names another image, which is then never replaced by ours.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from docker import APIClient
from docker.errors import ImageNotFound

from builder import log
from builder.engine.apt import install_packages, may_install
from builder.engine.docker.answers import load_news
from builder.engine.docker.connect import engine_errors
from builder.errors import DownloadError, MachineError, ToolError
from builder.rootfs.apt.sources import SYSTEM_KEYRINGS
from builder.system.process import run
from builder.system.tools import find_tool

REGISTRY_BASE = "debian:trixie-slim"
OWN_BASE = "boardwright-base:trixie"
SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
OTHER_BASE = f"or name an image of Debian {SUITE} that the Engine has with BOARDWRIGHT_BASE"
ANSWER_S = 10
"""Timeout until the registry has answered, where the base can also be made without one. A name that cannot be resolved
is answered at once; a firewall that drops packets costs all of it."""
PULL_SILENCE_S = 30
"""Timeout between two lines of progress, and until the answer for an image that cannot be had another way."""


@dataclass(frozen=True)
class Base:
    """An image of the Engine: its name and its id (a digest of its content)."""

    name: str
    id: str


def make_base(api: APIClient) -> Base:
    """Return the base image, fetched or made if the Engine does not have it.

    Raises DownloadError (the image named by BOARDWRIGHT_BASE cannot be pulled), MachineError (no registry, and nothing
    here to make the base with) and ToolError (making it failed).
    """
    wanted = os.environ.get("BOARDWRIGHT_BASE")
    names = (wanted,) if wanted else (REGISTRY_BASE, OWN_BASE)
    for name in names:
        if base := _find_base(api, name):
            return base
    refusal = _pull(api, names[0], answer_s=PULL_SILENCE_S if wanted else ANSWER_S)
    if not refusal:
        return _want_base(api, names[0])
    if wanted:
        raise DownloadError(
            f"the base image {wanted} is not in the Engine and cannot be pulled: {refusal}",
            hint="check BOARDWRIGHT_BASE, or leave it out",
        )
    log.note(f"no registry answers ({refusal}); making the base image from {MIRROR}")
    _provide_mmdebstrap()
    return _import_base(api)


def _find_base(api: APIClient, name: str) -> Base | None:
    with engine_errors(f"looking for the image {name}"):
        try:
            return Base(name, str(api.inspect_image(name)["Id"]))  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None


def _want_base(api: APIClient, name: str) -> Base:
    base = _find_base(api, name)
    if base is None:
        raise DownloadError(f"the image {name} was fetched, but the Engine does not have it", hint="docker image ls")
    return base


def _pull(api: APIClient, name: str, *, answer_s: float) -> str:
    """Pull an image; return why it is unavailable, or "".

    answer_s  timeout until the registry has answered, in seconds

    Not by `api.pull`, which waits for ever once the Engine has answered: here every wait has a timeout, and closing
    the response makes the Engine give up. An image that asks for a login must be pulled by hand before.
    """
    repository, tag = _split(name)
    silence_s = answer_s
    try:
        with (
            log.step(f"pull {name}"),
            api.post(
                f"{api.base_url}/v{api.api_version}/images/create",
                params={"fromImage": repository, "tag": tag},
                stream=True,
                timeout=answer_s,
            ) as response,
        ):
            silence_s = _allow_silence(response, answer_s)
            return _follow_pull(response)
    except requests.RequestException:
        return f"nothing heard for {silence_s:g} s"


def _allow_silence(response: requests.Response, answer_s: float) -> float:
    """Let the download be silent for PULL_SILENCE_S from now on; return the timeout in seconds.

    The Engine sends its headers when the registry has answered, and requests has one timeout for both.
    """
    connection = getattr(response.raw, "connection", None)
    stream = getattr(connection, "sock", None)
    if stream is None:
        return answer_s
    stream.settimeout(PULL_SILENCE_S)
    return PULL_SILENCE_S


def _follow_pull(response: requests.Response) -> str:
    if not response.ok:
        return load_news(response.content).message or response.reason
    for line in response.iter_lines():
        news = load_news(line)
        if news.error:
            return news.error
        log.line(f"{news.status or ''} {news.progress or ''}".strip())
    return ""


def _split(name: str) -> tuple[str, str]:
    """Repository and tag; a colon before the last slash belongs to a registry's port."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _provide_mmdebstrap() -> None:
    """Install mmdebstrap and Debian's keys where they are missing; MachineError where this process may not."""
    missing = [package for package, is_there in _find_needs().items() if not is_there]
    if missing and may_install():
        install_packages(missing, why="this machine lacks what makes the base image")
    elif missing:
        raise MachineError(
            f"no registry answers, and what makes the base image without one is missing: {', '.join(missing)}",
            hint=f"install it (Debian: sudo apt-get install {' '.join(missing)}), {OTHER_BASE}",
        )


def _find_needs() -> dict[str, bool]:
    """Return whether each Debian package that makes the base is there."""
    try:
        has_program = bool(find_tool("mmdebstrap"))
    except MachineError:
        has_program = False
    has_keys = any(SYSTEM_KEYRINGS.glob("debian-archive-keyring.*"))
    return {"mmdebstrap": has_program, "debian-archive-keyring": has_keys}


def _import_base(api: APIClient) -> Base:
    with log.step(f"make {OWN_BASE}"), TemporaryDirectory(prefix="boardwright-base-") as directory:
        archive = Path(directory) / "base.tar"
        try:
            run(_mmdebstrap(api, archive), log_file=Path(directory) / "mmdebstrap.log")
        except ToolError as error:
            error.hint = _explain_failure()  # The log goes with its directory.
            raise
        repository, tag = OWN_BASE.split(":")
        with engine_errors(f"importing {OWN_BASE}"):
            # Not import_image_from_stream: docker-py 7.2 announces chunks there and then sends none.
            api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=['CMD ["bash"]'])
    return _want_base(api, OWN_BASE)


def _explain_failure() -> str:
    if os.geteuid() == 0:
        return f"see whether {MIRROR} can be reached from here, {OTHER_BASE}"
    return f"without root mmdebstrap needs user namespaces: sudo apt-get install uidmap, {OTHER_BASE}"


def _mmdebstrap(api: APIClient, archive: Path) -> list[str]:
    """Return the command; without root mmdebstrap takes a user namespace by itself."""
    with engine_errors("asking for its architecture"):
        architecture = api.version()["Arch"]  # Go's names: amd64 and arm64 are also Debian's.
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--architectures={'armhf' if architecture == 'arm' else architecture}",
        SUITE,
        str(archive),
        MIRROR,
    ]
