# SPDX-License-Identifier: MIT
"""Write, read and validate the SBOM as SPDX 2.3 JSON, with the SPDX project's own library."""

from __future__ import annotations

import io
import re
from typing import Any

from license_expression import Licensing, get_spdx_licensing
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    Package,
    PackagePurpose,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.parser.error import SPDXParsingError
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream

from builder import __version__
from builder.packaging.installed import Installed, read_architecture
from builder.packaging.sbom import Sbom
from builder.system.files import load_json

DOCUMENT = "SPDXRef-DOCUMENT"
IMAGE = "SPDXRef-Image"
MOST_COMPARED = 50_000_000
"""Limit of packages times relationships. The validator searches all packages for each end of a relationship. This many
pairs take half a minute; an image with 2500 packages has them."""
LICENCE_COMMENT = "Licences of the source package, from Debian's copyright file of it."
_TEAM = re.compile(r"team|maintainers|developers|group|packagers|lists\.|tracker\.|QA\b", re.IGNORECASE)


def render_spdx(sbom: Sbom) -> str:
    """Return the document; unknown values are NOASSERTION."""
    info = CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id=DOCUMENT,
        name=sbom.name,
        document_namespace=f"https://spdx.org/spdxdocs/{sbom.name}-{sbom.make_uuid('spdx')}",
        creators=[Actor(ActorType.TOOL, f"boardwright-{__version__}")],
        created=sbom.time.replace(tzinfo=None),
    )
    relationships = [Relationship(DOCUMENT, RelationshipType.DESCRIBES, IMAGE)]
    ids = {package.key: _make_id(package) for package in sbom.packages}
    relationships += [Relationship(IMAGE, RelationshipType.CONTAINS, ids[package.key]) for package in sbom.packages]
    relationships += [
        Relationship(ids[package.key], RelationshipType.DEPENDS_ON, ids[key])
        for package in sbom.packages
        for key in package.depends
    ]
    licensing = get_spdx_licensing()  # Created once, because this is slow.
    packages = [_make_image(sbom), *(_make_package(package, sbom.suite, licensing) for package in sbom.packages)]
    stream = io.StringIO()
    write_document_to_stream(Document(info, packages=packages, relationships=relationships), stream, validate=False)
    return stream.getvalue() + "\n"


def _make_id(package: Installed) -> str:
    """Return the SPDX id of a package. It has only letters, digits, dots and hyphens; Debian names may have a plus."""
    return "SPDXRef-deb-" + re.sub(r"[^A-Za-z0-9.-]", lambda match: f"-{ord(match[0]):02x}-", package.key)


def _make_image(sbom: Sbom) -> Package:
    return Package(
        spdx_id=IMAGE,
        name=sbom.name,
        version=sbom.version,
        download_location=SpdxNoAssertion(),
        file_name=f"{sbom.name}.img",
        supplier=Actor(ActorType.ORGANIZATION, sbom.supplier) if sbom.supplier else SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, sbom.image_sha256)],
        license_concluded=SpdxNoAssertion(),
        license_declared=SpdxNoAssertion(),
        copyright_text=SpdxNoAssertion(),
        summary=sbom.title,
        primary_package_purpose=PackagePurpose.OPERATING_SYSTEM,
        built_date=sbom.time.replace(tzinfo=None),
    )


def _make_package(package: Installed, suite: str, licensing: Licensing) -> Package:
    licence = licensing.parse(package.licence) if package.licence else SpdxNoAssertion()
    purl = package.purl(suite).to_string()
    return Package(
        spdx_id=_make_id(package),
        name=package.name,
        version=package.version,
        download_location=SpdxNoAssertion(),
        supplier=_make_actor(package),
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, package.sha256)] if package.sha256 else [],
        homepage=package.homepage or None,
        source_info=f"built from the source package {package.source} {package.source_version}",
        license_concluded=SpdxNoAssertion(),
        license_declared=licence,
        license_comment=LICENCE_COMMENT if package.licence else None,
        copyright_text=SpdxNoAssertion(),
        external_references=[ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", purl)],
    )


def _make_actor(package: Installed) -> Actor | SpdxNoAssertion:
    name, address = package.maintainer_parts
    if not name:
        return SpdxNoAssertion()
    name = " ".join(name.replace("(", " ").replace(")", " ").split())  # In SPDX, parentheses enclose the address.
    return Actor(ActorType.ORGANIZATION if _TEAM.search(package.maintainer) else ActorType.PERSON, name, address)


def check_spdx(text: str) -> list[str]:
    """Return the errors of a document by the SPDX project's validator."""
    try:
        data = load_json(text)
        if len(data.get("packages", [])) * len(data.get("relationships", [])) > MOST_COMPARED:
            return [f"has too many packages and relationships; expected at most {MOST_COMPARED} pairs"]
        document = JsonLikeDictParser().parse(data)  # type: ignore[no-untyped-call]
    except (ValueError, SPDXParsingError, AttributeError, TypeError, KeyError) as error:
        return [f"cannot be read: {'; '.join(map(str, error.args))}"]
    return [message.validation_message for message in validate_full_spdx_document(document, "SPDX-2.3")]


def list_spdx(text: str) -> tuple[str, set[tuple[str, str, str]]]:
    """Return the digest of the image of a valid document, and (name, version, architecture) of its packages."""
    document: dict[str, Any] = load_json(text)
    image = next(package for package in document["packages"] if package["SPDXID"] == IMAGE)
    packages = [package for package in document["packages"] if package["SPDXID"] != IMAGE]
    return image["checksums"][0]["checksumValue"], {
        (package["name"], package["versionInfo"], read_architecture(_purl(package))) for package in packages
    }


def _purl(package: dict[str, Any]) -> str:
    references = package["externalRefs"]
    return next(str(reference["referenceLocator"]) for reference in references if reference["referenceType"] == "purl")
