# SPDX-License-Identifier: MIT
"""Bills of materials: what dpkg knows is in them, nothing is guessed, and foreign validators accept them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ntia_conformance_checker import NTIAChecker

from builder.errors import ReleaseError
from builder.packaging.cyclonedx import check_cyclonedx, list_cyclonedx, render_cyclonedx
from builder.packaging.installed import read_installed
from builder.packaging.licences import find_licence
from builder.packaging.sbom import Sbom
from builder.packaging.spdx import check_spdx, list_spdx, render_spdx
from tests.support.small_image import EPOCH, MAWK, STATUS

DIGEST = "ab" * 32
PARTS = {("base-files", "13.8", "arm64"), ("libc6", "2.41-12", "arm64"), ("mawk", "1.3.4.20250131-1+b1", "arm64")}
INSTALLED = read_installed(
    STATUS, {"mawk": MAWK, "libc6": "Free.\n"}, {"mawk": ("1.3.4.20250131-1+b1", "cd" * 32), "libc6": ("1", "ef" * 32)}
)
BILL = Sbom("boardwright-rpi-1.0", "Raspberry Pi", "1.0", "trixie", EPOCH, DIGEST, "Lighthouse", INSTALLED)


def parts(text: str, key: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(text)[key]}


def test_packages_are_as_dpkg_knows_them() -> None:
    base_files, libc, mawk = INSTALLED
    assert (libc.source, libc.source_version) == ("glibc", "2.41-11")
    assert (mawk.source, mawk.source_version) == ("mawk", mawk.version)
    assert mawk.homepage == "https://invisible-island.net/mawk/"
    assert base_files.depends == ("libc6:arm64", "mawk:arm64"), "a package that provides the name is found"
    assert mawk.depends == ("libc6:arm64",)
    assert libc.depends == (), "what is not installed is not listed"
    assert mawk.purl("trixie").to_string() == "pkg:deb/debian/mawk@1.3.4.20250131-1%2Bb1?arch=arm64&distro=trixie"


def test_a_digest_is_that_of_the_version_that_is_installed() -> None:
    assert [each.sha256 for each in INSTALLED] == ["", "", "cd" * 32]


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (MAWK, "GPL-2.0-only AND GPL-2.0-or-later"),
        ("Free for all.\n", ""),
        ("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nno colon\n", ""),
        (MAWK.replace("License: GPL-2\n", "License: mine\n"), ""),
        (MAWK.replace("License: GPL-2\n", "License: GPL-1+ or Artistic\n"),
         "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND GPL-2.0-or-later"),
        (MAWK.replace("License: GPL-2\n", "License: GPL-2+ or MIT, and Expat\n"), ""),
        (MAWK.replace("License: GPL-2\n", "License: GPL-2+ with Bison exception\n"), ""),
        (MAWK.replace("GPL-2+", "GPL-2").replace("Format: https", "Format: http"), "GPL-2.0-only"),
    ],
)  # fmt: skip
def test_a_licence_is_said_only_when_all_of_it_is_known(text: str, licence: str) -> None:
    assert find_licence(text) == licence


def test_spdx_is_accepted_by_its_validator_and_has_the_minimum_elements(tmp_path: Path) -> None:
    path = tmp_path / "x.spdx.json"
    path.write_text(render_spdx(BILL))
    assert check_spdx(path.read_text()) == []
    assert NTIAChecker(str(path)).compliant
    assert list_spdx(path.read_text()) == (DIGEST, PARTS)


def test_spdx_has_what_is_known_and_no_more() -> None:
    found = parts(render_spdx(BILL), "packages")
    assert found["mawk"]["licenseDeclared"] == "GPL-2.0-only AND GPL-2.0-or-later"
    assert found["mawk"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": "cd" * 32}]
    assert found["mawk"]["supplier"] == "Organization: Debian QA (packages@qa.debian.org)"
    assert found["base-files"]["supplier"] == "Person: Santiago Vila (sanvila@debian.org)"
    assert found["libc6"]["licenseDeclared"] == "NOASSERTION"
    assert "checksums" not in found["libc6"]
    assert "glibc 2.41-11" in found["libc6"]["sourceInfo"]
    relations = {
        (each["relationshipType"], each["relatedSpdxElement"])
        for each in json.loads(render_spdx(BILL))["relationships"]
    }
    assert ("CONTAINS", "SPDXRef-deb-mawk-3a-arm64") in relations
    assert ("DEPENDS_ON", "SPDXRef-deb-libc6-3a-arm64") in relations


def test_cyclonedx_is_accepted_by_its_schema() -> None:
    text = render_cyclonedx(BILL)
    assert check_cyclonedx(text) == []
    assert list_cyclonedx(text) == (DIGEST, PARTS)
    found = parts(text, "components")
    assert found["mawk"]["licenses"] == [{"expression": "GPL-2.0-only AND GPL-2.0-or-later"}]
    assert found["mawk"]["hashes"] == [{"alg": "SHA-256", "content": "cd" * 32}]
    assert "licenses" not in found["libc6"]
    depends = {each["ref"]: each.get("dependsOn") for each in json.loads(text)["dependencies"]}
    assert len(depends["image"]) == 3
    assert depends[found["mawk"]["bom-ref"]] == [found["libc6"]["bom-ref"]]


def test_the_same_image_has_the_same_bill() -> None:
    assert render_spdx(BILL) == render_spdx(BILL)
    assert render_cyclonedx(BILL) == render_cyclonedx(BILL)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"packages": 5}', '{"spdxVersion": "SPDX-2.3"}'])
def test_what_is_no_bill_is_said_not_to_be_one(text: str) -> None:
    assert check_spdx(text)
    assert check_cyclonedx(text)


def test_a_maintainer_that_is_nobody_is_not_invented() -> None:
    unmaintained = read_installed("Package: x\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n", {}, {})
    sbom = Sbom("x", "X", "1", "trixie", EPOCH, DIGEST, "", unmaintained)
    assert parts(render_spdx(sbom), "packages")["x"]["supplier"] == "NOASSERTION"
    assert "supplier" not in parts(render_cyclonedx(sbom), "components")["x"]
    assert check_spdx(render_spdx(sbom)) == check_cyclonedx(render_cyclonedx(sbom)) == []


@pytest.mark.parametrize(
    ("maintainer", "parts"),
    [
        ("Anne Onymous <anne@example.org>", ("Anne Onymous", "anne@example.org")),
        ('"Debian QA, Group" <qa@lists.debian.org>', ("Debian QA, Group", "qa@lists.debian.org")),
        ("Anne", ("Anne", None)),
        ("Anne <nowhere>", ("Anne", None)),
        ("<anne@example.org>", ("", "anne@example.org")),
        ("@" * 500, ("@" * 500, None)),
        ("", ("", None)),
    ],
)
def test_a_maintainer_has_a_name_and_an_address(maintainer: str, parts: tuple[str, str | None]) -> None:
    status = f"Package: x\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nMaintainer: {maintainer}\n"
    (package,) = read_installed(status, {}, {})
    assert package.maintainer_parts == parts


def test_a_maintainer_has_an_end() -> None:
    status = f"Package: x\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nMaintainer: {'a' * 501}\n"
    with pytest.raises(ReleaseError, match="has an invalid Maintainer"):
        read_installed(status, {}, {})
