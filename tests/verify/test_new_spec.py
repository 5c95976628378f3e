# SPDX-License-Identifier: MIT
"""What a new spec costs: a file in specs/."""

from __future__ import annotations

from pathlib import Path

from tests.support.one_row import ask_with_spec

SPEC = '''\
"""The disk ends with a mark."""

from collections.abc import Callable

import pytest

from builder.plan.model import Slot
from builder.system.process import Result
from builder.verify.facts.image import ImageFacts
from builder.verify.live.ssh import Running


def test_the_disk_ends_with_a_mark(image: ImageFacts) -> None:
    assert image.raw.read_bytes()[-4:] == b"mark"


def test_the_disk_has_room_for(image: ImageFacts, slot: Slot) -> None:
    assert image.size_bytes


@pytest.mark.needs("virtual")
def test_the_machine_is_virtual() -> None:
    assert False


@pytest.mark.level("chroot")
def test_a_program_answers(call: Callable[..., Result]) -> None:
    assert call("mark").stdout == "mark\\n"


@pytest.mark.level("booted")
def test_the_system_has_the_name(running: Running) -> None:
    assert running.hostname == "mark"
'''
"""One for each way in which specs are selected: level, needs, rows of a table."""

PROBE = """
import json
import re
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from rich.console import Console

import builder
from builder.artefact import reuse
from builder.engine.docker.builder_image import _find_inputs
from builder.errors import VerifyError
from builder.packaging.spec_report import find_fault, read_report
from builder.plan.make import make_plan
from builder.recipe.load import load_board
from builder.system import fingerprint
from builder.verify import verify
from builder.verify.live.ssh import Running, SshAddress
from builder.verify.report import check_report, render_report
from builder.verify.runner import find_specs, run_specs
from builder.verify.task import Task
from tests.conftest import ROOT

copy, scratch = map(Path, sys.argv[1:])
assert Path(builder.__file__).is_relative_to(copy) and find_specs() == copy.parent / "specs", "it is the copy"
verify.read_claim = lambda raw: verify.Claim("rpi", "1.0", 0)  # The disks have no table.
disks = {"green": bytes(4096) + b"mark", "red": bytes(4096) + b"rust"}
OFFLINE = {"the disk ends with a mark", "the disk has room for (boot)", "the disk has room for (root)"}


def run_verify(colour, only="mark_spec"):
    path = scratch / f"{colour}.img"
    path.write_bytes(disks[colour])
    return verify.verify_artefact(path, verify.VerifyOptions(ROOT / "boards", only=only), scratch / "state")


def count(report):
    stream = StringIO()
    Console(file=stream, width=120).print(render_report(report))
    return re.findall(r"^(\\w+_spec\\.py) +(\\d+)(?: +(\\d+))? +\\d+\\.\\d *$", stream.getvalue(), re.MULTILINE)


green = run_verify("green")
assert {verdict.sentence for verdict in green.verdicts} == OFFLINE
assert (green.summary.partition(",")[0], green.failures) == ("3 specs", ())
check_report(green)
assert count(green) == [("mark_spec.py", "3", "")]

red = run_verify("red")
assert {verdict.sentence for verdict in red.verdicts} == OFFLINE
assert [verdict.sentence for verdict in red.failures] == ["the disk ends with a mark"]
assert "rust" in red.failures[0].message
assert red.summary.startswith("3 specs, 1 red")
assert count(red) == [("mark_spec.py", "2", "1")]
with pytest.raises(VerifyError, match="mark_spec.py: the disk ends with a mark"):
    check_report(red)

data = (scratch / "red.specs.json").read_text()
assert json.loads(data)["passed"] is False
assert read_report(data, "x").summarise().model_dump(include={"passed", "failed"}) == {"passed": 2, "failed": 1}
found = read_report(data, "x")
fault = find_fault(found.model_copy(update={"only": ""}), found.digest)
assert fault == "1 specs failed, the first in mark_spec.py: the disk ends with a mark"
assert len(Xml.parse(scratch / "red.specs.xml").getroot().findall(".//testcase")) == 3

both = run_verify("green", "mark_spec or disk_spec")
assert [row[0] for row in count(both)] == ["disk_spec.py", "mark_spec.py"], "beside the specs that exist"

plan = make_plan(load_board(ROOT / "boards", "rpi"), version="1.0", epoch=0)
task = Task(plan, image=str(scratch / "green.img"), name="green.img", scratch=str(scratch))
echo = (sys.executable, "-c", "import sys; print(*sys.argv[1:])")
running = Running(SshAddress("anne", "127.0.0.1"), "mark")
for level, given, sentence in (
    ("chroot", {"chroot": echo}, "a program answers"),
    ("booted", {"running": running}, "the system has the name"),
):
    report = run_specs(replace(task, levels=(level,), **given), only="mark_spec")
    assert [(verdict.sentence, verdict.outcome) for verdict in report.verdicts] == [(sentence, "passed")]
virtual = make_plan(load_board(ROOT / "boards", "qemu-arm64"), version="1.0", epoch=0)
assert [verdict.sentence for verdict in run_specs(replace(task, plan=virtual), only="virtual").failures] == [
    "the machine is virtual"
]

(copy.parent / "Dockerfile.builder").touch()
assert "specs/mark_spec.py" in _find_inputs(copy), "it is in the builder image"
assert copy.parent / "specs/mark_spec.py" in fingerprint.find_code(*reuse.CODE), "an image is verified again"
"""


def test_a_new_spec_is_one_file(tmp_path: Path) -> None:
    ask_with_spec(PROBE, tmp_path, {"mark_spec.py": SPEC})
