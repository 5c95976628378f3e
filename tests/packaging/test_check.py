# SPDX-License-Identifier: MIT
"""A package that was spoilt is found out, in each of many ways; a sound one is not."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.errors import RecipeError, ReleaseError, TrustError
from builder.packaging.check import Findings, PackageProblem, check_release
from builder.system.checksums import render_sum, sha256_file
from builder.verbs.options import load_key_text as load_key
from tests.chain.conftest import boardwright
from tests.support.dist import NAME
from tests.support.keys import MinisignKey
from tests.support.packaged_fixtures import MadePackage

pytestmark = pytest.mark.machine
Way = Callable[[Path], None]


def file(place: Path, suffix: str) -> Path:
    return place / f"{NAME}{suffix}"


def seal(place: Path) -> None:
    """Make description and sums fit again, as an attacker would; only the key is another."""
    description = file(place, ".manifest.json")
    document = json.loads(description.read_text())
    sums = file(place, ".SHA256SUMS")
    rows = [each for each in document["files"] if (place / each["name"]).is_file()]
    kept = [each["name"] for each in rows if each["role"] not in ("sums", "signature")]
    sums.write_text("".join(render_sum(sha256_file(place / name), name) for name in kept))
    for each in rows:
        path = place / each["name"]
        each.update(size_bytes=path.stat().st_size, sha256=sha256_file(path))
    description.write_text(json.dumps(document | {"files": rows}))


def edit(suffix: str, change: Callable[[Any], None]) -> Way:
    """Change a JSON file and make sums and description fit."""

    def spoil(place: Path) -> None:
        data = json.loads(file(place, suffix).read_text())
        change(data)
        file(place, suffix).write_text(json.dumps(data))
        seal(place)

    return spoil


def replace(suffix: str, old: str, new: str, *, sealed: bool = True) -> Way:
    """Change a text, and make sums and description fit where they are to."""

    def spoil(place: Path) -> None:
        text = file(place, suffix).read_text()
        assert old in text
        file(place, suffix).write_text(text.replace(old, new, 1))
        if sealed:
            seal(place)

    return spoil


def write(suffix: str, data: bytes, *, sealed: bool = True) -> Way:
    """Put something else into a file."""

    def spoil(place: Path) -> None:
        file(place, suffix).write_bytes(data)
        if sealed:
            seal(place)

    return spoil


def remove(suffix: str) -> Way:
    def spoil(place: Path) -> None:
        file(place, suffix).unlink()
        if not suffix.endswith(".manifest.json"):
            seal(place)

    return spoil


def flip_a_byte(place: Path) -> None:
    path = file(place, ".img.xz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def another_image(place: Path) -> None:
    raw = place / "raw"
    raw.write_bytes(b"another image" * 1000)
    subprocess.run(["zstd", "-q", "-f", "--rm", raw, "-o", file(place, ".img.zst")], check=True)
    seal(place)


def cut(suffix: str) -> Way:
    def spoil(place: Path) -> None:
        data = file(place, suffix).read_bytes()
        file(place, suffix).write_bytes(data[: len(data) - 50])
        seal(place)

    return spoil


def another_map(place: Path) -> None:
    """The map of an image that differs in one block."""
    path = file(place, ".bmap")
    text = re.sub(r'chksum="[0-9a-f]{64}"', f'chksum="{"0" * 64}"', path.read_text(), count=1)
    start = text.index("<BmapFileChecksum> ") + len("<BmapFileChecksum> ")
    blank = text[:start] + "0" * 64 + text[start + 64 :]
    path.write_text(blank[:start] + hashlib.sha256(blank.encode()).hexdigest() + blank[start + 64 :])
    seal(place)


def add_a_file(place: Path) -> None:
    file(place, ".extra").write_text("hello")


def link(place: Path) -> None:
    target = file(place, ".packages").rename(place.parent / "elsewhere")
    file(place, ".packages").symlink_to(target)


def sign_anew(place: Path) -> None:
    MinisignKey(place.parent, "other").sign(file(place, ".manifest.json"))


def first(data: Any, key: str) -> Any:
    return data["verdicts"][0].update(outcome=key)


WAYS: dict[str, tuple[Way, str]] = {
    "a byte of the image is another": (flip_a_byte, r"img\.xz: found sha256 .*…; expected .*…, as in the description"),
    "an image is another, all sums fit": (another_image, r"img\.zst: size or sha256 of the image in it differs"),
    "an xz is cut short": (cut(".img.xz"), r"img\.xz cannot be unpacked"),
    "a zip is cut short": (cut(".img.zip"), r"img\.zip cannot be unpacked"),
    "a gz is cut short": (cut(".img.gz"), r"img\.gz cannot be unpacked"),
    "an image is gone": (lambda place: file(place, ".img.gz").unlink(), r"img\.gz: .* the file is missing"),
    "a file that is not listed": (add_a_file, r"extra: it is not in the description"),
    "a link in the place of a file": (link, r"packages: .* the file is missing"),
    "the map is of another image": (another_map, "the block map does not fit: blocks 0-"),
    "the map is damaged": (replace(".bmap", "<ImageSize>", "<ImageSiz>"), r"bmap: the block map cannot be read"),
    "the map is missing": (remove(".bmap"), r"bmap: it is missing"),
    "the sums are of another file": (
        replace(".SHA256SUMS", "  ", "  x", sealed=False), "it has a checksum of x.*, which is not in the description"
    ),
    "a sum is another": (
        write(".SHA256SUMS", render_sum("00" * 32, f"{NAME}.bmap").encode(), sealed=False),
        r"its checksum of .*bmap differs",
    ),
    "the sums are no sums": (write(".SHA256SUMS", b"x\n", sealed=False), "is not a line of sha256sum"),
    "the sums are missing": (lambda place: file(place, ".SHA256SUMS").unlink(), r"SHA256SUMS: it is missing"),
    "the list of packages has one less": (
        replace(".packages", "mawk\t1.3.4.20250131-1+b1\tarm64\t282\n", ""), r"spdx\.json: it differs from .*: mawk"
    ),
    "the list of packages is none": (
        write(".packages", b"x\n"), "it is not a list of packages"
    ),
    "a package of the SPDX sbom is another": (
        edit(".spdx.json", lambda data: data["packages"][1].update(versionInfo="9")), r"spdx\.json: it differs from"
    ),
    "the SPDX sbom is nested too deep": (
        write(".spdx.json", b"[" * 100_000), r"spdx\.json: cannot be read: it is nested deeper than 64 times"
    ),
    "the CycloneDX sbom is nested too deep": (
        write(".cdx.json", b"[" * 100_000), r"cdx\.json: cannot be read: it is nested deeper than 64 times"
    ),
    "the SPDX sbom is of another image": (
        edit(".spdx.json", lambda data: data["packages"][0]["checksums"][0].update(checksumValue="00" * 32)),
        r"spdx\.json: it describes another image",
    ),
    "the SPDX sbom is invalid": (edit(".spdx.json", lambda data: data.pop("dataLicense")), r"spdx\.json: "),
    "the CycloneDX sbom is invalid": (
        edit(".cdx.json", lambda data: data["components"][0].update(colour="red")), r"cdx\.json: .*colour"
    ),
    "the CycloneDX sbom has one less": (
        edit(".cdx.json", lambda data: data["components"].pop()), r"cdx\.json: it differs from"
    ),
    "the CycloneDX sbom is of nothing": (
        edit(".cdx.json", lambda data: data["metadata"].pop("component")), r"cdx\.json: it does not name its image"
    ),
    "the specs are red": (edit(".specs.json", lambda data: first(data, "failed")), "1 specs failed"),
    "the specs are of another image": (
        edit(".specs.json", lambda data: data.update(digest="00" * 32)), "were run on an image with sha256 0000"
    ),
    "a spec is left out": (
        edit(".specs.json", lambda data: data["verdicts"].pop()), "its results differ from the description"
    ),
    "the specs are of another board": (
        edit(".specs.json", lambda data: data.update(board="rpi5")), "found the board and version rpi5"
    ),
    "the specs are no report": (edit(".specs.json", lambda data: data.update(format=9)), "format: Input should be 1"),
    "the JUnit file has one less": (replace(".specs.xml", "<testcase name='a'/>", ""), r"specs\.xml: its results"),
    "the JUnit file is none": (replace(".specs.xml", "<testsuites>", ""), r"specs\.xml: it cannot be read"),
    "the page is of another image": (
        write(".report.html", b"<html>"), "html: it describes another image"
    ),
    "the page is no text": (
        write(".report.html", b"\xff\xfe"), "found the byte 0xff at 0, which is not UTF-8"
    ),
    "the provenance is of another file": (
        edit(".provenance.json", lambda data: data["subject"].pop()), r"provenance\.json: its subjects differ"
    ),
    "the provenance is of another version": (
        edit(
            ".provenance.json",
            lambda data: data["predicate"]["buildDefinition"]["externalParameters"].update(version="9"),
        ),
        r"provenance\.json: its board, version or time differs",
    ),
    "the provenance is none": (
        edit(".provenance.json", lambda data: data.update(predicateType="x")), "the provenance: predicateType"
    ),
    "the description is of an image that was never tested": (
        edit(".manifest.json", lambda data: data.update(specs=None)), "its results differ from the description"
    ),
    "the description is of another image": (
        edit(".manifest.json", lambda data: data.update(image_sha256="00" * 32)), "of the image in it differs"
    ),
    "the description has another name": (
        edit(".manifest.json", lambda data: data.update(name="boardwright-rpi-2.0")),
        "found the name .boardwright-rpi-2",
    ),
    "the description has no image": (
        edit(".manifest.json", lambda data: data.update(files=[f for f in data["files"] if f["role"] != "image"])),
        "the description has no image",
    ),
    "the description is none": (
        write(".manifest.json", b"{}", sealed=False), r"manifest\.json: .*Field required"
    ),
    "a signature is missing": (
        lambda place: file(place, ".manifest.json.minisig").unlink(), r"manifest\.json: it is not signed"
    ),
    "another key has signed": (sign_anew, r"manifest\.json: .*(key|Signature)"),
    "all fits but the signature": (
        edit(".manifest.json", lambda data: data.update(title="Another")), "json: the signature is not of this file"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_a_spoilt_package_is_found_out(small: MadePackage, spoilt: Path, name: str) -> None:
    spoil, expected = WAYS[name]
    spoil(spoilt)
    findings = check_release(spoilt, small.public.read_text())
    assert re.search(expected, "\n".join(map(str, findings.problems))), findings.problems
    with pytest.raises((TrustError, ReleaseError), match="the release has "):
        findings.check()


def test_only_a_directory_that_is_being_written_is_left_out(small: MadePackage, tmp_path: Path) -> None:
    top = tmp_path / "my.partial-release"
    shutil.copytree(small.directory, top / "a.partial.copy" / small.directory.name)
    shutil.copytree(small.directory, top / f".{small.directory.name}.package.partial" / small.directory.name)
    assert len(check_release(top).packages) == 1


def test_a_sound_one_is_sound_with_and_without_a_key(small: MadePackage) -> None:
    key = small.public.read_text()
    findings = check_release(small.directory, key)
    assert findings.problems == ()
    assert (findings.with_key, len(findings.packages)) == (True, 1)
    assert findings.signers == (f"minisign key {key.splitlines()[0].rpartition(' ')[2]}",)
    findings.check()
    assert check_release(small.directory.parent).with_key is False


def test_several_are_checked_and_all_that_is_wrong_is_said(small: MadePackage, spoilt: Path) -> None:
    shutil.copytree(small.directory, spoilt.with_name("sound"))
    file(spoilt, ".bmap").unlink()
    file(spoilt, ".report.html").unlink()
    findings = check_release(spoilt.parent, small.public.read_text().splitlines()[1])
    assert len(findings.packages) == 2
    with pytest.raises(ReleaseError) as caught:
        findings.check()
    assert ".bmap" in caught.value.message
    assert ".report.html" in caught.value.message


def test_many_problems_are_counted_and_trust_comes_first() -> None:
    problems = [PackageProblem("a", f"problem {number}") for number in range(25)]
    with pytest.raises(ReleaseError, match="25 problems") as caught:
        Findings((), tuple(problems)).check()
    assert "and 5 more" in caught.value.message
    with pytest.raises(TrustError, match="1 problem:"):
        Findings((), (PackageProblem("a", "b", "trust"),)).check()


def test_a_directory_without_a_package_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="has no packaged image"):
        check_release(tmp_path)


def test_the_command_says_whether_signatures_were_checked(small: MadePackage) -> None:
    with_key = boardwright("verify", "--release", small.directory, "--key", small.public)
    assert with_key.returncode == 0, with_key.stderr
    assert "signed by minisign key" in with_key.stderr
    without = boardwright("verify", "--release", small.directory, "--json")
    result = next(json.loads(line) for line in without.stdout.splitlines() if '"result"' in line)
    assert result["data"]["signatures_checked"] is False
    assert "no signature was checked" in without.stdout


def test_the_command_ends_with_the_code_of_the_worst(spoilt: Path) -> None:
    flip_a_byte(spoilt)
    done = boardwright("verify", "--release", spoilt)
    assert done.returncode == TrustError.exit_code
    assert "do not use it" in done.stderr


def test_the_command_wants_an_image_or_a_release(small: MadePackage) -> None:
    assert boardwright("verify").returncode == 2
    assert boardwright("verify", "rpi", "--release", small.directory).returncode == 2


def test_a_key_is_a_file_or_a_line(small: MadePackage) -> None:
    text = small.public.read_text()
    assert load_key(str(small.public)) == load_key(text) == text
    assert load_key(text.splitlines()[1]) == text.splitlines()[1]
    assert load_key("") == ""
    with pytest.raises(RecipeError, match=r"found 'missing\.pub'; expected a file or a public key"):
        load_key("missing.pub")
