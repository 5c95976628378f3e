# SPDX-License-Identifier: MIT
"""Changes of a published release by an attacker who may write to the server and has no key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from builder.packaging.model import (
    PackagedFile,
    PackagedImage,
    Released,
    load_channel,
    render,
    render_package,
)
from tests.support.published import Published, digest

NAME = "boardwright-rpi-1.0"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def change_package(published: Published, **change: Any) -> None:
    """Change what the server says of the rpi, in the channel's file, and not what is signed."""
    change_released(published, lambda it: it.model_copy(update={"image": it.image.model_copy(update=change)}))


def change_released(published: Published, change: Callable[[Released], Released]) -> None:
    path = published.tree / "channels/stable.json"
    channel = load_channel(path.read_bytes(), path)
    boards = channel.release.boards | {"rpi": change(channel.release.boards["rpi"])}
    release = channel.release.model_copy(update={"boards": boards})
    path.write_bytes(render(channel.model_copy(update={"release": release})))


def describe_again(published: Published, package: PackagedImage) -> None:
    """Write and name another description of the rpi; without a key, the signature is the old one."""
    text = render_package(package)
    path = published.tree / "v1.0/rpi" / f"{NAME}.manifest.json"
    path.write_text(text, encoding="utf-8")
    described = PackagedFile(name=path.name, role="manifest", size_bytes=len(text), sha256=digest(text.encode()))

    def change(it: Released) -> Released:
        rest = [file for file in it.signed if file.name != path.name]
        return Released.model_construct(image=package, signed=[described, *rest])

    change_released(published, change)


def package_of(published: Published) -> PackagedImage:
    path = published.tree / "v1.0/rpi" / f"{NAME}.manifest.json"
    return PackagedImage.model_validate_json(path.read_bytes())
