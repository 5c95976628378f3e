# SPDX-License-Identifier: MIT
"""Packages: complete or absent, the same every time, refused for an image that is not proved."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from ntia_conformance_checker import NTIAChecker

from builder.errors import RecipeError, ReleaseError, TrustError, VerifyError
from builder.packaging.make import Hardware, PackageInput, describe
from builder.packaging.model import load_packaged_image
from builder.system.checksums import sha256_file
from builder.verbs.package import load_compressions
from tests.chain.conftest import boardwright
from tests.support.dist import DEBS, JUNIT, NAME, make_report
from tests.support.packaged_fixtures import MadePackage

pytestmark = pytest.mark.machine


def test_everything_is_there_and_described(made: MadePackage) -> None:
    package = load_packaged_image(made.directory)
    roles = {file.name.removeprefix(f"{NAME}."): file.role for file in package.files}
    assert roles == {
        "img.xz": "image",
        "img.zst": "image",
        "img.gz": "image",
        "img.zip": "image",
        "bmap": "bmap",
        "packages": "packages",
        "spdx.json": "sbom",
        "cdx.json": "sbom",
        "specs.json": "report",
        "specs.xml": "report",
        "report.html": "report",
        "provenance.json": "provenance",
        "provenance.json.minisig": "signature",
        "SHA256SUMS": "sums",
        "SHA256SUMS.minisig": "signature",
    }
    assert {path.name for path in made.directory.iterdir()} - {file.name for file in package.files} == {
        f"{NAME}.manifest.json",
        f"{NAME}.manifest.json.minisig",
    }
    assert package.imager == ["pi3-64bit", "pi4-64bit", "pi5-64bit"]
    assert package.image_sha256 == sha256_file(made.work / "raw.img")
    assert package.valid_until == package.epoch + 365 * 86400
    assert package.specs is not None
    assert (package.specs.passed, package.specs.failed, package.specs.skipped) == (2, 0, 1)
    assert [path.name for path in made.directory.parent.iterdir()] == [NAME]


def test_common_tools_accept_it(made: MadePackage, tmp_path: Path) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", f"{NAME}.SHA256SUMS"], cwd=made.directory, check=True
    )
    for file in ("SHA256SUMS", "provenance.json", "manifest.json"):
        words = ["minisign", "-V", "-q", "-p", made.public, "-m", made.directory / f"{NAME}.{file}"]
        subprocess.run([*map(str, words)], check=True)
    assert NTIAChecker(str(made.directory / f"{NAME}.spdx.json")).compliant
    copy = tmp_path / "copy.img"
    # Without --bmap it looks for a map of the image's name beside it, and says so.
    done = subprocess.run(
        ["bmaptool", "copy", made.directory / f"{NAME}.img.xz", copy], check=True, capture_output=True, text=True
    )
    assert "discovered bmap file" in done.stderr + done.stdout
    assert copy.read_bytes() == (made.work / "raw.img").read_bytes()


def test_the_provenance_is_a_statement_of_in_toto(made: MadePackage) -> None:
    statement = json.loads((made.directory / f"{NAME}.provenance.json").read_text())
    Statement.copy_from_pb(ParseDict(statement, statement_pb2.Statement())).validate()
    definition = statement["predicate"]["buildDefinition"]
    debs = {
        each["name"].split()[0]: each for each in definition["resolvedDependencies"] if "pkg:deb" in each.get("uri", "")
    }
    assert {name: each["digest"]["sha256"] for name, each in debs.items()} == {
        name: text.split()[1] for name, text in DEBS.items()
    }
    assert definition["internalParameters"]["archives"]["debian"]["url"] == "http://deb.debian.org/debian"
    assert {each["name"] for each in statement["subject"]} == {
        f"{NAME}.img{end}" for end in ("", ".xz", ".zst", ".gz", ".zip")
    }


def test_the_page_stands_alone(made: MadePackage) -> None:
    page = (made.directory / f"{NAME}.report.html").read_text()
    assert "a slot has its size (root)" in page
    assert "no &lt;wifi&gt;" in page
    assert "<svg" in page
    assert "libc6: 22.3 MiB" in page
    assert not re.search(r"<script|<link|src=|url\(|@import|href=", page)


def test_the_same_again_is_done_and_another_is_refused(made: MadePackage, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in made.directory.iterdir()}
    options = ("-o", made.work / "release", "--compress", "xz,zst,gz,zip")
    monkeypatch.setenv("BOARDWRIGHT_MINISIGN_KEY", made.secret)
    again = made.call(*options, "--supplier", "Lighthouse")
    assert again.returncode == 0, again.stderr
    assert "with the same content" in again.stderr
    other = made.call(*options, "--supplier", "Somebody else")
    assert other.returncode == ReleaseError.exit_code
    assert f"{NAME}.spdx.json" in other.stderr
    fewer = made.call("-o", made.work / "release", "--compress", "xz", "--supplier", "Lighthouse")
    assert f"{NAME}.img.zip" in fewer.stderr
    monkeypatch.delenv("BOARDWRIGHT_MINISIGN_KEY")
    assert "signatures by minisign" in made.call(*options, "--supplier", "Lighthouse").stderr
    assert before == {path.name: path.stat().st_mtime_ns for path in made.directory.iterdir()}


@pytest.fixture
def dist(made: MadePackage, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.dist, tmp_path / "dist"))


def pack(dist: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    place = dist.parent
    return boardwright("package", "rpi", "--dist", dist, "-o", place / "out", "--state", place / "state", *options)


def test_two_calls_make_the_same_bytes_and_without_a_key_it_is_said(made: MadePackage, dist: Path) -> None:
    done = pack(dist, "--compress", "xz,zst,gz,zip", "--supplier", "Lighthouse")
    assert "not signed" in done.stdout
    assert "warning: no signing key is given" in done.stderr
    for path in (dist.parent / "out" / NAME).iterdir():
        if not path.name.endswith(".manifest.json"):
            assert path.read_bytes() == (made.directory / path.name).read_bytes(), path.name


@pytest.mark.parametrize("days", [0, 30])
def test_the_day_until_which_it_is_the_newest_is_described(days: int, small: MadePackage, tmp_path: Path) -> None:
    made = small.call("-o", tmp_path, "--compress", "gz", "--valid-days", str(days))
    assert made.returncode == 0, made.stderr
    package = load_packaged_image(tmp_path / NAME)
    assert package.valid_until == (package.epoch + days * 86400 if days else 0)


def test_an_image_that_is_not_proved_is_refused_and_nothing_is_left(dist: Path) -> None:
    (dist / f"{NAME}.specs.json").write_text(json.dumps(make_report("00" * 32)))
    done = pack(dist)
    assert done.returncode == VerifyError.exit_code
    assert "the specs were run on an image with sha256 0000" in done.stderr
    assert not list((dist.parent / "out").glob("*")) + list((dist.parent / "out").glob(".*"))
    assert not list((dist.parent / "state/scratch").iterdir())


@pytest.mark.parametrize("report", [None, make_report("00" * 32)], ids=["no report", "a report of another image"])
def test_an_unverified_image_is_packaged_where_that_is_asked_for(dist: Path, report: dict[str, Any] | None) -> None:
    for suffix in (".specs.json", ".specs.xml"):
        (dist / f"{NAME}{suffix}").unlink()
    assert "--unverified" in pack(dist).stderr
    if report:
        (dist / f"{NAME}.specs.json").write_text(json.dumps(report))
        (dist / f"{NAME}.specs.xml").write_text(JUNIT)
    done = pack(dist, "--unverified", "--compress", "zst")
    assert f"warning: {NAME} is packaged unverified" in done.stderr
    place = dist.parent / "out" / NAME
    description = json.loads((place / f"{NAME}.manifest.json").read_text())
    assert description["specs"] is None
    assert not list(place.glob("*.specs.*"))
    assert "unverified" in (place / f"{NAME}.report.html").read_text()
    checked = boardwright("verify", "--release", place, "--state", dist.parent / "state")
    assert checked.returncode == 0, checked.stderr
    assert "UNVERIFIED" in checked.stdout


def test_an_image_that_is_verified_stays_so(dist: Path) -> None:
    done = pack(dist, "--unverified", "--compress", "zst")
    assert "unverified" not in done.stderr
    assert json.loads((dist.parent / "out" / NAME / f"{NAME}.manifest.json").read_text())["specs"]["passed"] == 2


def test_an_image_without_what_a_build_leaves_is_refused(dist: Path) -> None:
    for suffix in (".specs.xml", ".packages"):
        (dist / f"{NAME}{suffix}").unlink()
    done = pack(dist)
    assert done.returncode == VerifyError.exit_code
    assert f"no {NAME}.packages, {NAME}.specs.xml beside it" in done.stderr


def test_an_image_of_another_name_is_refused(dist: Path) -> None:
    for path in list(dist.glob(f"{NAME}.*")):
        path.rename(path.with_name(path.name.replace(NAME, "card")))
    (image,) = dist.glob("card.img*")
    done = boardwright("package", image, "-o", dist / "out")
    assert done.returncode == RecipeError.exit_code
    assert f"found the name card; expected {NAME}, from the image's os-release" in done.stderr
    assert not list(dist.glob("out/*"))


def test_what_cannot_be_in_a_description_is_said(tmp_path: Path) -> None:
    sbom = SimpleNamespace(name="card", version="1.0", epoch=1, image_sha256="0" * 64)
    inputs = SimpleNamespace(
        sbom=sbom, hardware=Hardware("rpi", "x", "arm64", (), ()), image=Path(__file__), report=None, valid_days=0
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReleaseError, match=r"card: the file: found the name 'card'; expected boardwright-rpi-1\.0"):
        describe(cast(PackageInput, inputs), tmp_path / "empty")


def test_a_wrong_key_leaves_nothing(dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDWRIGHT_MINISIGN_KEY", "garbage")
    done = pack(dist, "--compress", "zst")
    assert done.returncode == TrustError.exit_code
    assert list((dist.parent / "out").iterdir()) == []


def test_a_key_is_taken_from_a_descriptor(made: MadePackage, dist: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, made.secret.encode())
    os.close(write_end)
    words = ["package", "rpi", "--dist", dist, "-o", dist.parent / "out", "--state", dist.parent / "state"]
    command = [sys.executable, "-m", "builder", *map(str, words), "--minisign-key-fd", str(read_end)]
    subprocess.run([*command, "--compress", "zst"], check=True, pass_fds=[read_end], capture_output=True)
    os.close(read_end)
    assert (dist.parent / "out" / NAME / f"{NAME}.SHA256SUMS.minisig").exists()


def test_without_the_record_of_the_build_less_is_said(dist: Path) -> None:
    (dist / f"{NAME}.build.json").unlink()
    done = pack(dist, "--compress", "zst")
    assert f"{NAME}.build.json is missing" in done.stderr
    statement = json.loads((dist.parent / "out" / NAME / f"{NAME}.provenance.json").read_text())
    rows = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert len(rows) == len(DEBS)
    assert not [row for row in rows if "digest" in row]


def test_the_record_of_another_image_is_not_believed(dist: Path) -> None:
    path = dist / f"{NAME}.build.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_sha256": "00" * 32}))
    assert "is of another image" in pack(dist, "--compress", "zst").stderr


def test_a_record_that_is_none_is_said(dist: Path) -> None:
    (dist / f"{NAME}.build.json").write_text("{}")
    done = pack(dist)
    assert done.returncode == ReleaseError.exit_code
    assert f"{NAME}.build.json: board: Field required" in done.stderr


def test_neither_image_nor_board_is_said(dist: Path) -> None:
    done = boardwright("package", "toaster", "--dist", dist, "-o", dist / "out")
    assert done.returncode == RecipeError.exit_code
    assert "toaster: found neither a file nor" in done.stderr


@pytest.mark.parametrize(("text", "found"), [("rar", "rar"), ("none", "none"), ("", "nothing"), ("xz,lz", "lz")])
def test_a_compression_that_is_none_is_refused(text: str, found: str) -> None:
    with pytest.raises(RecipeError, match=f"found {found}; allowed: zst, xz, gz, zip"):
        load_compressions(text)


def test_several_compressions_are_taken_once() -> None:
    assert load_compressions("xz, zst,xz") == ["xz", "zst"]
