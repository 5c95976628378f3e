# SPDX-License-Identifier: MIT
"""The image that Dockerfile.builder starts from: Debian trixie.

Taken from the Engine if it is there, else pulled. Where no registry answers (an air-gapped site, a CI without one)
the same thing is made from the Debian mirror with mmdebstrap and imported. BOARDWRIGHT_BASE names another one,
which is then never replaced by ours.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from docker import APIClient
from docker.errors import ImageNotFound

from builder import log
from builder.engine.connect import engine_errors
from builder.errors import DownloadError, MachineError
from builder.run import find_tool, run

REGISTRY_BASE = "debian:trixie-slim"
OWN_BASE = "boardwright-base:trixie"
SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
PULL_SILENCE_S = 30
"""A registry that says nothing for so long is as good as none: firewalls drop packets without a word."""


@dataclass(frozen=True)
class Base:
    """An image of the Engine: its name and its id (a digest of its content)."""

    name: str
    id: str


def make_base(api: APIClient) -> Base:
    """Return the base image, fetched or made if the Engine does not have it.

    Raises DownloadError (the image named by BOARDWRIGHT_BASE cannot be pulled) and MachineError (no registry, and
    nothing here to make the base with).
    """
    wanted = os.environ.get("BOARDWRIGHT_BASE")
    names = (wanted,) if wanted else (REGISTRY_BASE, OWN_BASE)
    for name in names:
        if base := _find_base(api, name):
            return base
    refusal = _pull(api, names[0])
    if not refusal:
        return _want_base(api, names[0])
    if wanted:
        raise DownloadError(
            f"the base image {wanted} is not in the Engine and cannot be pulled: {refusal}",
            hint="check BOARDWRIGHT_BASE, or leave it out",
        )
    log.note(f"no registry answers ({refusal}); making the base image from {MIRROR}")
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


def _pull(api: APIClient, name: str) -> str:
    """Pull an image; return why it could not be had, or nothing.

    Not by `api.pull`, which waits for ever once the Engine has answered: here every silence has an end, and closing
    the response makes the Engine give up. An image that asks for a login must be pulled by hand before.
    """
    repository, tag = _split(name)
    try:
        with (
            log.step(f"pull {name}"),
            api.post(
                f"{api.base_url}/v{api.api_version}/images/create",
                params={"fromImage": repository, "tag": tag},
                stream=True,
                timeout=PULL_SILENCE_S,
            ) as response,
        ):
            return _follow_pull(response)
    except requests.RequestException:
        return f"nothing heard for {PULL_SILENCE_S} s"


def _follow_pull(response: requests.Response) -> str:
    if not response.ok:
        return str(response.json().get("message", response.reason))
    for text in response.iter_lines():
        news = json.loads(text)
        if "error" in news:
            return str(news["error"])
        log.line(f"{news.get('status', '')} {news.get('progress', '')}".strip())
    return ""


def _split(name: str) -> tuple[str, str]:
    """Repository and tag; a colon before the last slash belongs to a registry's port."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _import_base(api: APIClient) -> Base:
    with log.step(f"make {OWN_BASE}"), TemporaryDirectory(prefix="boardwright-base-") as directory:
        archive = Path(directory) / "base.tar"
        run(_mmdebstrap(api, archive), log_file=Path(directory) / "mmdebstrap.log")
        repository, tag = OWN_BASE.split(":")
        with engine_errors(f"importing {OWN_BASE}"):
            # Not import_image_from_stream: docker-py 7.2 announces chunks there and then sends none.
            api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=['CMD ["bash"]'])
    return _want_base(api, OWN_BASE)


def _mmdebstrap(api: APIClient, archive: Path) -> list[str]:
    try:
        find_tool("mmdebstrap")
    except MachineError as error:
        raise MachineError(
            "no registry answers, and mmdebstrap, which makes the base image without one, is not on this machine",
            hint=f"{error.hint}; or name a base image the Engine has with BOARDWRIGHT_BASE",
        ) from None
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
