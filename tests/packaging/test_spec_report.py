# SPDX-License-Identifier: MIT
"""Which reports of the specs let an image out."""

from __future__ import annotations

import json

import pytest

from builder.errors import VerifyError
from builder.packaging.spec_report import find_fault, read_report
from tests.support.dist import make_report

DIGEST = "ab" * 32
RED = {"file": "a_spec.py", "name": "test_it_is[x]", "outcome": "failed", "seconds": 1}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, ""),
        ({"levels": ["offline", "booted"]}, ""),
        ({"digest": "00" * 32}, f"an image with sha256 {'00' * 32}; expected {DIGEST}"),
        ({"levels": ["booted"]}, "found booted; expected offline too"),
        ({"only": "disk"}, "only some of the specs were run ('disk')"),
        ({"verdicts": []}, "no spec was run"),
        ({"verdicts": [RED]}, "1 specs failed, the first in a_spec.py: it is (x)"),
    ],
)
def test_only_all_offline_specs_green_and_of_this_image_will_do(changes: dict[str, object], fault: str) -> None:
    found = find_fault(read_report(json.dumps(make_report(DIGEST, **changes)), "x"), DIGEST)
    assert fault in found
    assert bool(found) == bool(fault)


def test_the_report_of_an_earlier_program_is_read() -> None:
    report = make_report(DIGEST)
    del report["only"]
    assert find_fault(read_report(json.dumps(report), "x"), DIGEST) == ""


@pytest.mark.parametrize(("text", "problem"), [("{}", "format: Field required"), ("no", "the file: Invalid JSON")])
def test_what_is_no_report_is_said(text: str, problem: str) -> None:
    with pytest.raises(VerifyError, match=f"x.specs.json: {problem}"):
        read_report(text, "x.specs.json")
