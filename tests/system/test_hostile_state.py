# SPDX-License-Identifier: MIT
"""Hostile text in what the state directory and the shared cache hold: passed over, or taken as it is."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.artefact.digest_cache import FILE as DIGESTS
from builder.artefact.digest_cache import Digests
from builder.artefact.earlier import remove_earlier
from builder.artefact.files import Artefact
from builder.artefact.reuse import find_changed_step, find_made, write_made
from builder.cache.store import Store
from builder.errors import BoardwrightError, MachineError
from builder.system.files import load_json
from builder.system.journal import HeldResource, load_line, read_held, render_line
from builder.system.proxy import FILE, take_proxies
from builder.system.workspace import find_leftovers
from tests.support.hostile import TEXT, WRONG, Documents, Place, change, check_message

DIGEST = "ab" * 32
REF = {"sha256": DIGEST, "facts": {"name": "tool", "mac": DIGEST}}
LINE = {"event": "hold", "kind": "mount", "name": "/srv/x"}
MADE = {"inputs": {"rootfs": "0a"}, "files": [{"path": "x.img", "size_bytes": 1, "sha256": DIGEST}]}
KNOWN = {"/x.img": [DIGEST, 1, 2, 3, 4, 5]}
RECORD = {"image_sha256": DIGEST}
SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_ref(content: bytes, directory: Path) -> Any:
    path = directory / "refs" / f"{quote('deb/x', safe='')}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    ref = Store(directory).find_ref("deb/x")
    assert path.exists() == (ref is not None)
    return {"sha256": ref.sha256, "facts": dict(ref.facts)} if ref else None


def read_line(content: bytes, directory: Path) -> Any:
    line = load_line(content.decode(errors="replace"))
    return {"event": line[0], **asdict(line[1])} if line else None


def read_made(content: bytes, directory: Path) -> Any:
    (directory / "record").write_bytes(content)
    found = find_made(directory / "record", {"rootfs": "0a"}, directory, [DIGEST])
    if found is None:
        return None
    assert all(file.path.parent == directory for file in found)
    return {"inputs": {"rootfs": "0a"}, "files": [asdict(file) | {"path": file.path.name} for file in found]}


def read_digests(content: bytes, directory: Path) -> Any:
    (directory / DIGESTS).write_bytes(content)
    (directory / "file").touch()
    digests = Digests(directory)
    digests.note(directory / "file", DIGEST)  # Looks at all names, and writes the rest again.
    json.loads((directory / DIGESTS).read_bytes())


def read_record(content: bytes, directory: Path) -> Any:
    (directory / "x.build.json").write_bytes(content)
    (directory / "arriving").mkdir(exist_ok=True)
    (directory / "arriving/x.build.json").write_bytes(content)
    remove_earlier(directory, ["x.img", "x.build.json"], directory / "arriving")


READERS: dict[str, tuple[Any, Callable[[bytes, Path], Any]]] = {
    "ref": (REF, read_ref),
    "journal": (LINE, read_line),
    "made": (MADE, read_made),
    "digests": (KNOWN, read_digests),
    "record": (RECORD, read_record),
}


def check(place: Place, text: str, found: Any) -> None:
    name, path, is_key = place
    assert found == change(READERS[name][0], path, text, is_key=is_key)


def documents(directory: Path) -> Documents:
    """Return the documents, which are read in a directory."""
    good = {name: document for name, (document, _) in READERS.items()}
    return Documents(good, lambda name, content: READERS[name][1](content, directory), check)


@pytest.mark.parametrize("name", ["ref", "journal", "made"])
def test_the_documents_are_good(name: str, tmp_path: Path) -> None:
    document, load = READERS[name]
    assert load(json.dumps(document).encode(), tmp_path) == document


@pytest.mark.parametrize("name", READERS)
def test_hostile_text_in_each_place(name: str, tmp_path: Path) -> None:
    documents(tmp_path).put_texts(name)


@given(place=st.sampled_from(documents(Path()).find_places()), text=TEXT)
@SLOW
def test_any_text_in_any_place(place: Place, text: str, tmp_path: Path) -> None:
    documents(tmp_path).put_text(place, text)


@pytest.mark.parametrize("name", READERS)
def test_what_is_of_a_wrong_kind_is_passed_over(name: str, tmp_path: Path) -> None:
    documents(tmp_path).put_wrong(name)
    for wrong in WRONG:
        assert READERS[name][1](wrong, tmp_path) is None


@pytest.mark.parametrize("name", ["", "/", "//", ".", "..", "/srv/../..", "../x", "a\0b"])
def test_a_journal_gives_back_one_thing_a_line(name: str) -> None:
    assert read_held([render_line("hold", HeldResource("directory", name)).decode()]) == ()


def test_a_name_that_is_no_text_is_given_back_as_it_is(tmp_path: Path) -> None:
    """A directory of the user may be called anything."""
    held = HeldResource("directory", os.fsdecode(b"/srv/\xff\n\x1b"))
    (tmp_path / "journals").mkdir()
    (tmp_path / "journals/x.jsonl").write_bytes(render_line("hold", held))
    (left,) = find_leftovers(tmp_path)
    assert left.held == (held,)


def test_a_journal_of_bytes_that_are_no_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "journals").mkdir()
    line = render_line("hold", HeldResource("mount", "/srv/x"))
    free = render_line("free", HeldResource("mount", "/srv/y"))  # What was held before is a damaged line.
    (tmp_path / "journals/x.jsonl").write_bytes(b"\xff\xfe\n" + line + free + b"\x00" * 100)
    (left,) = find_leftovers(tmp_path)
    assert left.held == (HeldResource("mount", "/srv/x"),)


def test_a_pipe_is_no_journal(tmp_path: Path) -> None:
    """It would be waited for without end."""
    (tmp_path / "journals").mkdir()
    os.mkfifo(tmp_path / "journals/x.jsonl")
    with pytest.raises(MachineError, match=r"x\.jsonl is a special file; expected"):
        find_leftovers(tmp_path)


def test_a_step_of_a_record_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "record").write_text('{"inputs": [], "files": []}')
    plan: Any = None  # Nothing of it is asked for.
    assert find_changed_step(tmp_path / "record", plan, "image") == "the record of the last build"


def test_an_artefact_is_never_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "x.img").touch()
    write_made(tmp_path / "record", {"rootfs": "0a"}, [Artefact(tmp_path / "x.img", 0, DIGEST)])
    text = (tmp_path / "record").read_text()
    for name in ("../x.img", str(tmp_path / "x.img"), ".", ""):
        (tmp_path / "record").write_text(text.replace('"x.img"', json.dumps(name)))
        assert find_made(tmp_path / "record", {"rootfs": "0a"}, tmp_path / "dist", [DIGEST]) is None


def test_proxies_that_are_none_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (*WRONG, b'{"http_proxy": 1}', b'{"http_proxy": "a\\u0000"}'):
        monkeypatch.setenv(FILE, str(tmp_path / "proxies"))
        check_proxies_refused(tmp_path / "proxies", wrong)


def check_proxies_refused(file: Path, wrong: bytes) -> None:
    file.write_bytes(wrong)
    before = dict(os.environ)
    try:
        take_proxies()
    except BoardwrightError as error:
        refusal = error.message
    else:
        refusal = "nothing"
    check_message(refusal)
    assert dict(os.environ) == {name: value for name, value in before.items() if name != FILE}


def test_json_is_read_or_a_value_error() -> None:
    for wrong in WRONG:
        try:
            found = load_json(wrong)
        except ValueError:
            continue
        json.dump(found, io.StringIO(), allow_nan=False)
