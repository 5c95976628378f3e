# SPDX-License-Identifier: MIT
"""Hostile text in every place of what is released: refused in one line with the place, or taken as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from builder.artefact.build_record import make_record, read_record, render_record
from builder.errors import BoardwrightError, ReleaseError
from builder.packaging.model import PackagedImage, load_channel, load_release, render, render_package
from builder.packaging.provenance import SourceCommit, read_provenance, render_provenance
from builder.packaging.sbom import Sbom
from builder.packaging.spec_report import find_fault, read_report
from builder.plan.make import make_plan
from builder.recipe.described import load_described
from builder.recipe.load import load_board
from tests.conftest import ROOT
from tests.packaging.test_model import CHANNEL, DIGEST, PACKAGE, RELEASE
from tests.support.dist import DEBS, make_report
from tests.support.hostile import TEXT, WRONG, Documents, Place, check_message, read
from tests.support.small_image import BOARD, EPOCH, VERSION

PLAN = make_plan(load_board(ROOT / "boards", BOARD), version=VERSION, epoch=EPOCH, user_data=None)
RECORD = make_record(PLAN, DIGEST, DEBS).model_copy(update={"builder_image": f"sha256:{DIGEST}"})
BILL = Sbom(f"boardwright-{BOARD}-{VERSION}", "A board", VERSION, "trixie", EPOCH, DIGEST, "", ())
PROVENANCE = render_provenance(
    BILL, BOARD, {f"{BILL.name}.img": DIGEST}, RECORD, SourceCommit("git@example.org:me/my boards", "ab" * 20)
)


def load_package_text(content: bytes) -> BaseModel:
    return load_described(PackagedImage, content, "here", error=ReleaseError, hint="look")


READERS: dict[str, tuple[Any, Callable[[bytes], BaseModel]]] = {
    "package": (json.loads(render_package(PACKAGE)), load_package_text),
    "release": (json.loads(render(RELEASE)), lambda content: load_release(content, "here")),
    "channel": (json.loads(render(CHANNEL)), lambda content: load_channel(content, "here")),
    "record": (json.loads(render_record(RECORD)), lambda content: read_record(content, "here")),
    "provenance": (json.loads(PROVENANCE), read_provenance),
    "specs": (make_report(DIGEST, only="disk"), lambda content: read_report(content, "here")),
}


def load(name: str, content: bytes) -> BaseModel | None:
    """Return what a reader makes of a document; None where it refuses that in a proper way."""
    try:
        return READERS[name][1](content)
    except BoardwrightError as error:
        refusal = error
    check_message(refusal.message)
    assert "should match" not in refusal.message
    assert refusal.hint
    return None


def check(place: Place, text: str, found: BaseModel) -> None:
    """Assert that what was read has a text as it was written."""
    _, path, is_key = place
    if not is_key and not is_unread(place) and path[-1] != "date":
        assert read(json.loads(found.model_dump_json(by_alias=True)), path) == text


def is_unread(place: Place) -> bool:
    """Say whether a value is one that nothing of ours looks at."""
    name, path, _ = place
    return name == "specs" and path[-1] in ("image", "passed", "details")


DOCUMENTS = Documents({name: document for name, (document, _) in READERS.items()}, load, check)


@pytest.mark.parametrize("name", READERS)
def test_the_documents_are_good(name: str) -> None:
    document, load = READERS[name]
    assert load(json.dumps(document).encode())


@pytest.mark.parametrize("name", READERS)
def test_hostile_text_in_each_place(name: str) -> None:
    DOCUMENTS.put_texts(name, every=3)


@given(place=st.sampled_from(DOCUMENTS.find_places()), text=TEXT)
@settings(max_examples=100, deadline=None)
def test_any_text_in_any_place(place: Place, text: str) -> None:
    DOCUMENTS.put_text(place, text)


@pytest.mark.parametrize("name", READERS)
def test_what_is_of_a_wrong_kind_is_refused(name: str) -> None:
    DOCUMENTS.put_wrong(name, every=4)
    for wrong in WRONG:
        assert load(name, wrong) is None


@pytest.mark.parametrize("name", READERS)
def test_what_is_missing_is_said_with_its_place(name: str) -> None:
    document = READERS[name][0]
    for key in document:
        load(name, json.dumps({other: part for other, part in document.items() if other != key}).encode())


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "\u202e", "x" * 9000])
def test_what_a_report_says_of_a_red_spec_is_on_one_line(text: str) -> None:
    red = {"file": "a_spec.py", "name": f"test_{text}[{text}]", "outcome": "failed", "seconds": 1}
    check_message(find_fault(read_report(json.dumps(make_report(DIGEST, verdicts=[red])), "x"), DIGEST))
    check_message(find_fault(read_report(json.dumps(make_report(DIGEST, only=text)), "x"), DIGEST))


@pytest.mark.parametrize("url", ["a\nb", "\x1b[2J", "x" * 9000, ""])
def test_a_remote_that_is_no_address_is_left_out(url: str) -> None:
    statement = read_provenance(render_provenance(BILL, BOARD, {"x.img": DIGEST}, None, SourceCommit(url, "ab" * 20)))
    assert statement.predicate.buildDefinition.resolvedDependencies[0].uri == ""
