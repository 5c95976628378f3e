# SPDX-License-Identifier: MIT
"""A build that is asked to stop, or killed, while a tool is at work: nothing is left, no artefact appears."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import pytest

from tests.support.chaos import ON_LOOP, Place
from tests.support.wait import wait_until

pytestmark = pytest.mark.machine


@dataclass(frozen=True)
class Stage:
    """A tool that stops, and how to get there."""

    name: str
    tool: str
    when: str = "true"
    reuse: bool = True
    options: tuple[str, ...] = ()


STAGES = (
    Stage("emulation", "dpkg", reuse=False),
    Stage("packages", "mmdebstrap", reuse=False),
    Stage("fat", "mcopy"),
    Stage("ext4", "mke2fs", when=ON_LOOP),
    Stage("check", "e2fsck"),
    Stage("compression", "zstd", options=("--compress", "zst")),
)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it_and_leaves_nothing(supplied: Place, stage: Stage, number: signal.Signals) -> None:
    place = supplied
    place.stop_in(stage.tool, when=stage.when)
    build = place.start(*stage.options, reuse=stage.reuse)
    wait_until(place.reached.exists, f"{stage.tool} does not start")
    build.process.send_signal(number)
    assert build.wait() == 130, build.output
    assert place.traces() == []
    assert place.products() == []
    assert build.events[-1]["kind"] == "error"
    assert build.events[-1]["data"]["kind"] == "interrupted"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_kill_9_leaves_no_process_and_the_doctor_does_the_rest(supplied: Place, stage: Stage) -> None:
    place = supplied
    place.stop_in(stage.tool, when=stage.when)
    build = place.start(*stage.options, reuse=stage.reuse)
    wait_until(place.reached.exists, f"{stage.tool} does not start")
    build.process.kill()
    assert build.wait() == -9
    assert place.doctor("--fix")[1] == []
    wait_until(lambda: not place.processes(), "a process outlives the build")
    assert place.traces() == []
    assert place.products() == []


WRITER = """\
#!/bin/sh
cd {rooms}/scratch-* && mkdir -p rootfs
cd rootfs
setsid sh -c 'while :; do i=$((i+1)); mkdir d$i; echo x >d$i/f; done' {path} &
touch {reached}
wait
"""
"""A mmdebstrap that leaves a process behind, out of its process group, which writes into the tree without end."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_who_writes_into_the_tree_until_the_end_is_waited_for(supplied: Place, number: signal.Signals) -> None:
    place = supplied
    place.add_tool(
        "mmdebstrap", WRITER.format(rooms=place.state / "rooms/tiny", path=place.path, reached=place.reached)
    )
    build = place.start(reuse=False)
    wait_until(place.reached.exists, "mmdebstrap does not start")
    build.process.send_signal(number)
    build.wait()
    if number == signal.SIGKILL:
        assert place.doctor("--fix")[1] == []
    assert place.traces() == []


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_more_signals_do_not_cut_the_giving_back_short(place: Place, first: signal.Signals) -> None:
    place.stop_in("mke2fs", when=ON_LOOP)
    build = place.start()
    wait_until(place.reached.exists, "mke2fs does not start")
    place.unstop()
    place.stop_in("losetup", when='[ "$1" = --detach ]', then="go")
    build.process.send_signal(first)
    wait_until(place.reached.exists, "nothing is given back")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        build.process.send_signal(number)
    (place.path / "go").touch()
    assert build.wait() == 130, build.output
    assert place.traces() == []
    assert place.products() == []


def test_a_signal_while_a_finished_slot_is_given_back_waits(place: Place) -> None:
    place.stop_in("losetup", when='[ "$1" = --detach ]', then="go")
    build = place.start()
    wait_until(place.reached.exists, "nothing is given back")
    build.process.send_signal(signal.SIGINT)
    (place.path / "go").touch()
    assert build.wait() == 130, build.output
    assert place.traces() == []
    assert place.products() == []
