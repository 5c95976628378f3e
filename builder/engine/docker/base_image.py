# SPDX-License-Identifier: MIT
"""Provide the base image of Dockerfile.builder: Debian trixie.

It is taken from the Engine, else pulled. If no registry answers (an air-gapped site, a CI without one), mmdebstrap
makes it from the Debian mirror, and it is imported; missing tools are installed with apt-get, if this process may.
BOARDWRIGHT_BASE names another image, which is then never replaced by ours.
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
OTHER_BASE = f"or set BOARDWRIGHT_BASE to an image of Debian {SUITE} that the Engine has"
ANSWER_S = 10
"""Timeout of the registry's answer if the base can also be made without a registry. A name that cannot be resolved
fails at once; a firewall that drops packets takes the whole time."""
PULL_SILENCE_S = 30
"""Timeout between two lines of progress, and of the registry's answer if the image can only be pulled."""


@dataclass(frozen=True)
class Base:
    """An image of the Engine: its name and its id, a digest of the content."""

    name: str
    id: str


def make_base(api: APIClient) -> Base:
    """Return the base image; pull or make it if the Engine does not have it.

    Raises DownloadError (the image of BOARDWRIGHT_BASE cannot be pulled), MachineError (no registry, and no tools to
    make the base) and ToolError (the tools failed).
    """
    image = os.environ.get("BOARDWRIGHT_BASE")
    names = (image,) if image else (REGISTRY_BASE, OWN_BASE)
    for name in names:
        if base := _find_base(api, name):
            return base
    refusal = _pull(api, names[0], answer_s=PULL_SILENCE_S if image else ANSWER_S)
    if not refusal:
        return _want_base(api, names[0])
    if image:
        raise DownloadError(
            f"the base image {image} is not in the Engine and cannot be pulled: {refusal}",
            hint="check BOARDWRIGHT_BASE, or unset it",
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
        raise DownloadError(f"the image {name} was pulled, but the Engine does not have it", hint="docker image ls")
    return base


def _pull(api: APIClient, name: str, *, answer_s: float) -> str:
    """Pull an image; return the reason why it is unavailable, or "".

    answer_s  timeout of the registry's answer, in seconds

    `api.pull` is not used: it has no timeout after the Engine's first answer. Here every wait has a timeout, and
    closing the response makes the Engine cancel the pull. An image that needs a login must be pulled by hand before.
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
        return f"no answer for {silence_s:g} s"


def _allow_silence(response: requests.Response, answer_s: float) -> float:
    """Change the timeout to PULL_SILENCE_S for the rest of the response, and return the timeout in seconds.

    The Engine sends its headers when the registry has answered; requests has one timeout for headers and content.
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
    """Return repository and tag; a colon before the last slash belongs to a registry's port."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _provide_mmdebstrap() -> None:
    """Install mmdebstrap and Debian's keys if they are missing; MachineError if this process may not."""
    missing = [package for package, is_there in _find_needs().items() if not is_there]
    if missing and may_install():
        install_packages(missing, why="this machine lacks tools to make the base image")
    elif missing:
        raise MachineError(
            f"no registry answers, and the tools to make the base image without one are missing: {', '.join(missing)}",
            hint=f"install them (Debian: sudo apt-get install {' '.join(missing)}), {OTHER_BASE}",
        )


def _find_needs() -> dict[str, bool]:
    """Return whether each Debian package for the base is installed."""
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
            error.hint = _explain_failure()  # Its hint names the log, which is deleted with the directory.
            raise
        repository, tag = OWN_BASE.split(":")
        with engine_errors(f"importing {OWN_BASE}"):
            # Not import_image_from_stream: docker-py 7.2 announces chunks there, but sends none.
            api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=['CMD ["bash"]'])
    return _want_base(api, OWN_BASE)


def _explain_failure() -> str:
    if os.geteuid() == 0:
        return f"check that {MIRROR} can be reached from this machine, {OTHER_BASE}"
    return f"without root mmdebstrap needs user namespaces: sudo apt-get install uidmap, {OTHER_BASE}"


def _mmdebstrap(api: APIClient, archive: Path) -> list[str]:
    """Return the command line of mmdebstrap; without root it makes a user namespace itself."""
    with engine_errors("asking for its architecture"):
        architecture = api.version()["Arch"]  # Go's names; amd64 and arm64 are the same in Debian.
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--architectures={'armhf' if architecture == 'arm' else architecture}",
        SUITE,
        str(archive),
        MIRROR,
    ]
