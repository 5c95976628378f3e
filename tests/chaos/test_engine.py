# SPDX-License-Identifier: MIT
"""A build in a container that dies in the middle of a loop device: container, device and volume are given back."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import APIClient

from builder.doctor.doctor import examine, give_back
from builder.engine.docker.connect import open_engine
from builder.engine.docker.container import STATE, create, make_job, remove
from builder.system.resources import attached_files
from tests.conftest import ROOT
from tests.support.chaos import Place, Running
from tests.support.wait import wait_until

pytestmark = pytest.mark.engine

STOPPING = """\
#!/bin/sh
case "$*" in (*/dev/loop*) echo the loop device is there; exec sleep 600;; esac
exec /usr/sbin/mke2fs "$@"
"""
BOARD = f"tiny-{os.getpid()}"


@pytest.fixture(scope="module")
def api() -> Iterator[APIClient]:
    with open_engine() as client:
        yield client


@pytest.fixture(scope="module")
def image(builder_image: str) -> str:
    return builder_image


@pytest.fixture(scope="module")
def stopping_image(api: APIClient, image: str) -> Iterator[str]:
    """The builder image with a mke2fs that stops at a loop device."""
    name = f"boardwright-chaos:{os.getpid()}"
    dockerfile = f"FROM {image}\nCOPY mke2fs /usr/local/sbin/mke2fs\n"
    context = pack({"Dockerfile": dockerfile.encode(), "mke2fs": STOPPING.encode()})
    for row in api.build(fileobj=context, custom_context=True, tag=name, decode=True, rm=True):
        assert "error" not in row, row
    yield name
    api.remove_image(name, force=True)


@pytest.fixture
def docked(tmp_path: Path, api: APIClient, image: str) -> Iterator[tuple[Place, str]]:
    """A place, and a volume that has the rootfs of the board in its room."""
    place, volume = Place(tmp_path.resolve()), f"boardwright-chaos-{os.getpid()}-{os.urandom(3).hex()}"
    place.add_board(BOARD)
    job = make_job(image, BOARD, ("true",), place.state / "journals" / "none.jsonl", volume=volume)
    create(api, job)
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        tar.add(place.state / "rooms", "rooms")
    api.put_archive(job.name, STATE, stream.getvalue())
    remove(api, job.name)
    yield place, volume
    give_back(place.state, volume=volume)
    api.remove_volume(volume, force=True)


def pack(files: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(mode="w", fileobj=stream) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream


def start(docked: tuple[Place, str], image: str) -> Running:
    place, volume = docked
    argv = [sys.executable, "-m", "tests.support.in_docker", image, volume, BOARD, str(place.path)]
    return Running(subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))


def containers(api: APIClient, volume: str) -> list[str]:
    return [found["Names"][0].lstrip("/") for found in api.containers(all=True, filters={"volume": volume})]


def devices() -> list[str]:
    return [name for name, file in attached_files() if f"/{BOARD}/" in file]


def leftovers(docked: tuple[Place, str]) -> list[str]:
    place, volume = docked
    findings = examine(place.state, volume=volume)
    return [each.text for each in findings if not each.ok and each.area not in ("space", "tools", "engine")]


def kill_container(running: Running, api: APIClient, volume: str) -> None:
    (name,) = containers(api, volume)
    api.kill(name)
    assert running.wait() == 7, running.output
    assert containers(api, volume) == []


def kill_client(running: Running, api: APIClient, volume: str) -> None:
    running.process.kill()
    assert running.wait() == -9
    assert len(containers(api, volume)) == 1, "the Engine goes on by itself"


Kill = Callable[[Running, APIClient, str], None]


@pytest.mark.parametrize("kill", [kill_container, kill_client])
def test_the_doctor_gives_back_what_a_killed_container_left(
    docked: tuple[Place, str], api: APIClient, stopping_image: str, kill: Kill
) -> None:
    place, volume = docked
    running = start(docked, stopping_image)
    running.wait_for_line("the loop device is there")
    kill(running, api, volume)
    assert devices() != []
    assert leftovers(docked) != []
    give_back(place.state, volume=volume)
    assert leftovers(docked) == []
    assert containers(api, volume) == []
    wait_until(lambda: not devices(), "a loop device is still attached")
    assert place.traces() == []
    assert place.products() == []


@pytest.mark.parametrize("kill", [kill_container, kill_client])
def test_the_next_build_in_a_container_gives_it_back_too(
    docked: tuple[Place, str], api: APIClient, image: str, stopping_image: str, kill: Kill
) -> None:
    place, volume = docked
    running = start(docked, stopping_image)
    running.wait_for_line("the loop device is there")
    kill(running, api, volume)
    again = start(docked, image)
    assert again.wait() == 0, again.output
    assert leftovers(docked) == []
    assert containers(api, volume) == []
    assert devices() == []
    assert place.traces() == []
    assert f"boardwright-{BOARD}-1.img" in place.products()


def test_a_living_build_in_another_volume_keeps_its_loop_device(
    docked: tuple[Place, str], api: APIClient, stopping_image: str, tmp_path: Path
) -> None:
    """Its path in its container is below the state directory of every other container as well."""
    place, volume = docked
    running = start(docked, stopping_image)
    running.wait_for_line("the loop device is there")
    held = devices()
    other = f"{volume}-other"
    api.create_volume(other)
    try:
        give_back(tmp_path / "other-state", volume=other)
        assert devices() == held != []
    finally:
        api.remove_volume(other, force=True)
        kill_client(running, api, volume)
        give_back(place.state, volume=volume)
