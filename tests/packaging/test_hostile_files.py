# SPDX-License-Identifier: MIT
"""Whatever lies in a package instead of its lists and reports: a problem on one line, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.errors import ReleaseError
from builder.packaging import spdx
from builder.packaging.bmap import Bmap, Mapped, read_bmap, render_bmap
from builder.packaging.check import PackageProblem
from builder.packaging.check_files import CHECKS
from builder.packaging.cyclonedx import render_cyclonedx
from builder.packaging.installed import Installed
from builder.packaging.sbom import Sbom
from builder.packaging.spdx import render_spdx
from builder.system.files import InputError
from tests.packaging.test_model import DIGEST, PACKAGE
from tests.support.hostile import HOSTILE, TEXT, WRONG, Steps, change, check_message, find_places, put, read

TOOL = Installed(
    *("tool", "1.0", "arm64", 5, "libs", "tool", "1.0", "A Team <team@example.org>", "https://example.org/tool"),
    depends=(),
    licence="MIT",
    sha256=DIGEST,
)
BILL = Sbom(PACKAGE.name, "A board", "1.0", "trixie", PACKAGE.epoch, DIGEST, "Me", (TOOL,))
LISTING = "name\tversion\tarchitecture\tinstalled size in KiB\ntool\t1.0\tarm64\t5\n"
DOCUMENTS: dict[str, Any] = {
    ".spdx.json": json.loads(render_spdx(BILL)),
    ".cdx.json": json.loads(render_cyclonedx(BILL)),
}
PLACES = {suffix: list(find_places(document)) for suffix, document in DOCUMENTS.items()}
IN_TMP = [HealthCheck.function_scoped_fixture]


def check(directory: Path, suffix: str, content: bytes, *, listing: bytes = LISTING.encode()) -> list[str]:
    """Return what is wrong with a file of a package, as it is printed."""
    (directory / f"{PACKAGE.name}.packages").write_bytes(listing)
    path = directory / f"{PACKAGE.name}{suffix}"
    path.write_bytes(content)
    try:
        problems = [str(PackageProblem.of(path.name, text)) for text in CHECKS[suffix](path, PACKAGE)]
    except InputError as error:
        problems = [error.problem]
    for problem in problems:
        check_message(problem[:900])
        assert len(problem) < 4000, "ten letters at most for each that cannot be seen"
    return problems


@pytest.mark.parametrize("suffix", DOCUMENTS)
def test_the_bills_are_good(suffix: str, tmp_path: Path) -> None:
    assert check(tmp_path, suffix, json.dumps(DOCUMENTS[suffix]).encode()) == []


@pytest.mark.parametrize("suffix", CHECKS)
def test_a_file_of_a_wrong_kind_is_a_problem(suffix: str, tmp_path: Path) -> None:
    for wrong in WRONG:
        assert check(tmp_path, suffix, wrong), wrong[:12]


def check_change(directory: Path, suffix: str, place: tuple[Steps, bool], text: str, wrong: bytes) -> None:
    (path, is_key), document = place, DOCUMENTS[suffix]
    if is_key or isinstance(read(document, path), str):
        check(directory, suffix, json.dumps(change(document, path, text, is_key=is_key)).encode())
    if not is_key:
        check(directory, suffix, put(document, path, wrong))


@given(place=st.sampled_from(PLACES[".spdx.json"]), text=TEXT, wrong=st.sampled_from(WRONG))
@settings(max_examples=100, deadline=None, suppress_health_check=IN_TMP)
def test_anything_in_any_place_of_spdx(place: tuple[Steps, bool], text: str, wrong: bytes, tmp_path: Path) -> None:
    check_change(tmp_path, ".spdx.json", place, text, wrong)


@given(place=st.sampled_from(PLACES[".cdx.json"]), text=TEXT, wrong=st.sampled_from(WRONG))
@settings(max_examples=20, deadline=None, suppress_health_check=IN_TMP)
def test_anything_in_any_place_of_cyclonedx(place: tuple[Steps, bool], text: str, wrong: bytes, tmp_path: Path) -> None:
    check_change(tmp_path, ".cdx.json", place, text, wrong)


@pytest.mark.parametrize("wrong", [b"null", b"5", b"true", b"[]", b"{}"])
@pytest.mark.parametrize(
    ("suffix", "place"),
    [
        (".spdx.json", ("packages", 1, "name")),
        (".spdx.json", ("packages", 1, "versionInfo")),
        (".cdx.json", ("components", 0, "name")),
        (".cdx.json", ("components", 0, "version")),
    ],
)
def test_a_package_whose_name_or_version_is_no_text(suffix: str, place: Steps, wrong: bytes, tmp_path: Path) -> None:
    assert check(tmp_path, suffix, put(DOCUMENTS[suffix], place, wrong))


def test_hostile_text_in_a_list_of_packages(tmp_path: Path) -> None:
    document = json.dumps(DOCUMENTS[".spdx.json"]).encode()
    for text in HOSTILE:
        listing = LISTING.replace("tool", text).encode("utf-8", "replace")
        check(tmp_path, ".packages", listing)
        assert check(tmp_path, ".spdx.json", document, listing=listing), "the sbom has another package"


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400, "-5", "+1", "1_0", "٣", "1e3", "0x5", "", " "])
def test_a_number_of_a_map_has_digits_and_an_end(number: str) -> None:
    text = render_bmap(Bmap(8192, (Mapped(0, 1, DIGEST),)))
    assert read_bmap(text).image_bytes == 8192
    for old, new in (("> 8192 <", f"> {number} <"), ("> 0-1 <", f"> {number}-1 <"), ("> 0-1 <", f"> 0-{number} <")):
        with pytest.raises(ReleaseError, match=r"cannot be read|wrong checksum") as caught:
            read_bmap(text.replace(old, new))
        check_message(caught.value.message)


def test_a_problem_is_shown_on_one_line_and_in_part() -> None:
    problem = str(PackageProblem.of("a\nb", "\x1b[2J" + "x" * 9000))
    assert problem.startswith(r"a\nb: \x1b[2Jxxx")
    assert len(problem) < 400


@pytest.mark.parametrize(("suffix", "key"), [(".spdx.json", "packages"), (".cdx.json", "components")])
def test_a_package_url_is_read_in_one_go(suffix: str, key: str, tmp_path: Path) -> None:
    document = json.dumps(DOCUMENTS[suffix])
    assert "arch=arm64" in document
    (problem,) = check(tmp_path, suffix, document.replace("arch=arm64", "a" * 1_000_000).encode())
    assert ": tool 1.0" in problem


def test_pairs_that_are_compared_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spdx, "MOST_COMPARED", 3)
    document = DOCUMENTS[".spdx.json"]
    assert len(document["packages"]) * len(document["relationships"]) == 4
    (problem,) = check(tmp_path, ".spdx.json", json.dumps(document).encode())
    assert problem.endswith("has too many packages and relationships; expected at most 3 pairs")
