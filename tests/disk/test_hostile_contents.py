# SPDX-License-Identifier: MIT
"""Lists of packages and files of cloud-init that are large, damaged or lead elsewhere: refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from builder.disk import dpkg
from builder.disk.dpkg import find_changed_files
from builder.errors import VerifyError
from builder.packaging import contents
from builder.packaging.contents import read_contents
from builder.rootfs.model import DELIVERED
from builder.units import MIB
from builder.verify.facts.cloud import SCHEMAS, Cloud
from builder.verify.facts.rights import KINDS, RightFacts, Rights
from tests.support.small_image import make_small_image
from tests.support.trees import make_tree

pytestmark = pytest.mark.machine


def test_copyright_files_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_COPYRIGHT", 10)
    with pytest.raises(VerifyError, match="the copyright files of the image have more than 10 bytes"):
        read_contents(make_small_image(tmp_path))


def test_files_of_packages_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"d41d8cd98f00b204e9800998ecf8427e  {name}\n" for name in ("a", "a", "link"))
    files = {"/var/lib/dpkg/info/x.md5sums": lines, "/a": "x" * 100, "/link": "->/a"}
    tree = make_tree(tmp_path, files)
    assert len(find_changed_files(tree)) == 2, "each line once"
    monkeypatch.setattr(dpkg, "MOST_HASHED", 150)
    with pytest.raises(VerifyError, match="name files of 200 bytes; at most 150 are hashed"):
        find_changed_files(tree)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{", "7"])
def test_a_list_of_what_was_delivered_that_is_none(text: str, tmp_path: Path) -> None:
    image = SimpleNamespace(tree=make_tree(tmp_path, {DELIVERED: text}))
    with pytest.raises(AssertionError, match=r"delivered\.json is damaged"):
        _ = Rights(cast(RightFacts, image)).delivered


def test_a_mode_that_is_none_allows_nothing(tmp_path: Path) -> None:
    text = "root root 99z /usr/bin/tool\nroot root 4755 /usr/bin/other\n"
    image = SimpleNamespace(tree=make_tree(tmp_path, {"/var/lib/dpkg/statoverride": text}))
    assert KINDS["setid"].own(cast(RightFacts, image)) == {"/usr/bin/other": "4755 root:root"}


def test_a_schema_of_an_image_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *words, **_: asked.append(words))
    for reference in ("http://127.0.0.1:9/x", "file:///etc/passwd", "#/none"):
        files = {f"{SCHEMAS}/schema-cloud-config-v1.json": json.dumps({"$ref": reference}), "/user-data": "{a: 1}"}
        with pytest.raises(VerifyError, match="the schema of the image's cloud-init cannot be used"):
            Cloud(make_tree(tmp_path, files)).find_user_data_faults("/user-data")
    assert asked == []


@pytest.mark.parametrize("schema", ["", "[", '{"$ref": "#"}', '{"patternProperties": {"(": {}}}', "7"])
def test_a_schema_of_an_image_may_be_none(schema: str, tmp_path: Path) -> None:
    files = {f"{SCHEMAS}/schema-cloud-config-v1.json": schema, "/user-data": "{a: 1}"}
    with pytest.raises(VerifyError, match="the schema of the image's cloud-init cannot be used"):
        Cloud(make_tree(tmp_path, files)).find_user_data_faults("/user-data")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#" * (MIB + 1), "has 1048577 characters; expected at most 1048576"),
        ("a: [", "of the image cannot be read by cloud-init: expected the node content"),
        ("[" * 5000, "of the image cannot be read by cloud-init: nested too deep"),
        ("a: &a [*a]", "of the image cannot be read by cloud-init: found an alias inside its own value"),
        (
            "".join(f"a{at}: &a{at} [{f'*a{at - 1},' * 9 if at else 1}]\n" for at in range(9)),
            "of the image cannot be read by cloud-init: found more than 20000 values through aliases",
        ),
    ],
)
def test_yaml_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match=f"/user-data {message}"):
        Cloud(make_tree(tmp_path, {"/user-data": text})).load("/user-data")
