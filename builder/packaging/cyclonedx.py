# SPDX-License-Identifier: MIT
"""Write and validate the SBOM as CycloneDX 1.6 JSON, with the project's own library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalContact, OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from builder import __version__
from builder.packaging.installed import Installed, read_architecture
from builder.packaging.sbom import Sbom
from builder.system.files import load_json


def render_cyclonedx(sbom: Sbom) -> str:
    """Return the document."""
    image = Component(
        name=sbom.name,
        type=ComponentType.OPERATING_SYSTEM,
        bom_ref="image",
        version=sbom.version,
        description=sbom.title,
        supplier=OrganizationalEntity(name=sbom.supplier) if sbom.supplier else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sbom.image_sha256)],
    )
    components = {package.key: _make_component(package, sbom.suite) for package in sbom.packages}
    refs = {key: component.bom_ref for key, component in components.items()}
    dependencies = [Dependency(image.bom_ref, [Dependency(ref) for ref in refs.values()])]
    dependencies += [
        Dependency(refs[package.key], [Dependency(refs[key]) for key in package.depends]) for package in sbom.packages
    ]
    tool = Component(name="boardwright", type=ComponentType.APPLICATION, version=__version__)
    bom = Bom(
        components=components.values(),
        serial_number=sbom.make_uuid("cyclonedx"),
        metadata=BomMetaData(component=image, timestamp=sbom.time, tools=ToolRepository(components=[tool])),
        dependencies=dependencies,
    )
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _make_component(package: Installed, suite: str) -> Component:
    purl = package.purl(suite)
    return Component(
        name=package.name,
        type=ComponentType.LIBRARY if package.section.endswith("libs") else ComponentType.APPLICATION,
        bom_ref=purl.to_string(),
        version=package.version,
        purl=purl,
        supplier=_make_supplier(package),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.sha256)] if package.sha256 else [],
        licenses=[LicenseExpression(package.licence)] if package.licence else [],
        external_references=[ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(package.homepage))]
        if package.homepage
        else [],
        properties=_make_properties(package),
    )


def _make_supplier(package: Installed) -> OrganizationalEntity | None:
    name, address = package.maintainer_parts
    if not name:
        return None
    contacts = [OrganizationalContact(name=name, email=address)] if address else []
    return OrganizationalEntity(name=name, contacts=contacts)


def _make_properties(package: Installed) -> Iterator[Property]:
    facts = {
        "source": f"{package.source} {package.source_version}",
        "section": package.section,
        "installed-size-kib": str(package.size_kib),
    }
    return (Property(name=f"boardwright:{name}", value=value) for name, value in facts.items() if value)


def check_cyclonedx(text: str) -> list[str]:
    """Return the errors of a document by the schema of CycloneDX 1.6."""
    try:
        load_json(text)
        wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text, all_errors=True)
    except ValueError as error:
        return [f"cannot be read: {error}"]
    return [str(fault).partition("\n")[0] for fault in wrong or ()]  # The other lines are the whole schema.


def list_cyclonedx(text: str) -> tuple[str, set[tuple[str, str, str]]]:
    """Return the digest of the image of a valid document, and (name, version, architecture) of its packages."""
    document: dict[str, Any] = load_json(text)
    return document["metadata"]["component"]["hashes"][0]["content"], {
        (part["name"], part["version"], read_architecture(str(part["purl"]))) for part in document["components"]
    }
