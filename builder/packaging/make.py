# SPDX-License-Identifier: MIT
"""Make a packaged image: one directory with all published files of an image, complete or absent.

    OUTPUT/<name>/<name>.img.xz            the image, compressed (also or instead: .zst, .gz, .zip)
                  <name>.bmap              block map
                  <name>.packages          list of packages from the build
                  <name>.spdx.json, .cdx.json
                  <name>.specs.json, .specs.xml, .report.html
                  <name>.provenance.json
                  <name>.SHA256SUMS        checksums of all files above
                  <name>.manifest.json     description of all other files, written last
                  *.minisig, *.asc         signatures of provenance, checksums and description

It is written to OUTPUT/.<name>.package.partial/, synced and renamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from builder import log
from builder.artefact.build_record import Record
from builder.artefact.compress import Compression, compress, suffix_of
from builder.artefact.files import partial_directory, write_text
from builder.errors import ReleaseError, VerifyError
from builder.packaging.bmap import Range, make_bmap, render_bmap
from builder.packaging.cyclonedx import render_cyclonedx
from builder.packaging.model import SUFFIX, PackagedFile, PackagedImage, Role, load_packaged_image, render_package
from builder.packaging.provenance import SourceCommit, render_provenance
from builder.packaging.report_page import PageArea, render_page
from builder.packaging.sbom import Sbom
from builder.packaging.spdx import render_spdx
from builder.packaging.spec_report import SpecReport, find_fault
from builder.recipe.described import explain
from builder.signing import gpg, minisign, signature
from builder.signing.keys import Signers
from builder.system.atomic import give_name, sync
from builder.system.checksums import render_sum, sha256_file
from builder.system.workspace import Journal

ROLES: Mapping[str, Role] = {
    ".bmap": "bmap",
    ".packages": "packages",
    ".spdx.json": "sbom",
    ".cdx.json": "sbom",
    ".specs.json": "report",
    ".specs.xml": "report",
    ".report.html": "report",
    ".provenance.json": "provenance",
    ".SHA256SUMS": "sums",
    ".minisig": "signature",
    ".asc": "signature",
}
"""Roles of files by suffix; all other files are compressed images."""
SIGNATURES: Mapping[str, str] = {"minisign": signature.SUFFIX, "gpg": gpg.SUFFIX}


@dataclass(frozen=True)
class Hardware:
    """Facts of a recipe about the board."""

    board: str
    title: str
    architecture: str
    features: tuple[str, ...]
    imager: tuple[str, ...]


VALID_DAYS = 365
DAY_S = 86400


@dataclass(frozen=True)
class PackageInput:
    """The input of packaging: an image and its data."""

    image: Path
    """The uncompressed image; it must not be written to."""
    sbom: Sbom
    hardware: Hardware
    report: SpecReport | None
    """None: the image is published unverified."""
    reports: Mapping[str, str]
    """Texts of the specs' reports by suffix: .specs.json, .specs.xml."""
    listing: str
    """List of packages from the build."""
    areas: Sequence[PageArea]
    unused: Sequence[Range]
    """Ranges of the image that no filesystem uses."""
    record: Record | None
    commit: SourceCommit | None
    valid_days: int = VALID_DAYS
    """Days from the build until a newer image is expected; 0 for no limit."""


def make_packaged_image(
    inputs: PackageInput,
    output: Path,
    *,
    compressions: Sequence[Compression],
    signers: Signers,
    journal: Journal | None = None,
) -> tuple[Path, PackagedImage]:
    """Make the directory of an image below `output` and return it; reuse an existing one with the same content.

    Raises VerifyError (specs failed, or were run on another image), ReleaseError (the name exists with other content),
    TrustError (a wrong key), SpaceError, BusyError, ToolError, MachineError. Then no directory is left.
    """
    name = inputs.sbom.name
    _check_specs(inputs)
    output.mkdir(parents=True, exist_ok=True)
    final = output / name
    with partial_directory(output / f".{name}.package.partial", journal) as partial:
        work = partial / name
        work.mkdir()
        _write_papers(inputs, work)
        if final.exists():
            return final, _take(final, work, compressions, signers)
        images = _compress(inputs, work, compressions)
        _write(work, name, ".provenance.json", _make_provenance(inputs, images))
        sums = [render_sum(sha256_file(path), path.name) for path in sorted(work.iterdir())]
        _write(work, name, ".SHA256SUMS", "".join(sums))
        _sign([work / f"{name}.provenance.json", work / f"{name}.SHA256SUMS"], name, signers)
        package = describe(inputs, work)
        _sign([_write(work, name, SUFFIX, render_package(package))], name, signers)
        give_name(work, final)
    return final, package


def _check_specs(inputs: PackageInput) -> None:
    if inputs.report is None:
        log.warn(f"{inputs.sbom.name} is packaged unverified: there is no report of its specs")
        return
    fault = find_fault(inputs.report, inputs.sbom.image_sha256)
    if fault:
        raise VerifyError(
            f"{inputs.sbom.name} is not packaged: {fault}",
            hint="verify the image first: boardwright verify IMAGE, or use --unverified",
        )


def _write(directory: Path, name: str, suffix: str, text: str) -> Path:
    return write_text(directory / f"{name}{suffix}", text)


def _write_papers(inputs: PackageInput, work: Path) -> None:
    """Write the files that do not depend on the compression."""
    sbom, name = inputs.sbom, inputs.sbom.name
    with log.step("block map"):
        _write(work, name, ".bmap", render_bmap(make_bmap(inputs.image, inputs.unused)))
    with log.step("SBOM and reports"):
        _write(work, name, ".packages", inputs.listing)
        _write(work, name, ".spdx.json", render_spdx(sbom))
        _write(work, name, ".cdx.json", render_cyclonedx(sbom))
        for suffix, text in inputs.reports.items():
            _write(work, name, suffix, text)
        size = inputs.image.stat().st_size
        _write(work, name, ".report.html", render_page(sbom, inputs.hardware.board, inputs.report, inputs.areas, size))


def _compress(inputs: PackageInput, work: Path, compressions: Sequence[Compression]) -> dict[str, str]:
    """Write the compressed images and return their digests by file name."""
    image_name, digests = f"{inputs.sbom.name}.img", {}
    for compression in compressions:
        with log.step(f"compress: {compression}"):
            target = work / f"{image_name}{suffix_of(compression)}"
            compress(inputs.image, target, compression=compression, name=image_name, epoch=inputs.sbom.epoch)
            sync(target)
            digests[target.name] = sha256_file(target)
    return digests


def _make_provenance(inputs: PackageInput, images: Mapping[str, str]) -> str:
    subjects = {f"{inputs.sbom.name}.img": inputs.sbom.image_sha256, **images}
    return render_provenance(inputs.sbom, inputs.hardware.board, subjects, inputs.record, inputs.commit)


def _sign(files: Sequence[Path], name: str, signers: Signers) -> None:
    if not signers.names:
        return
    with log.step(f"sign: {' and '.join(signers.names)}"):
        if signers.minisign:
            minisign.sign(files, signers.minisign, comment=name)
        if signers.gpg:
            gpg.sign(files, signers.gpg)


def describe(inputs: PackageInput, directory: Path) -> PackagedImage:
    """Return the description of a directory with all other files; raise ReleaseError for invalid data of the image."""
    try:
        return _describe(inputs, directory)
    except ValidationError as error:
        raise ReleaseError(f"{inputs.sbom.name}: {explain(error)}", hint="build the image again") from None


def _describe(inputs: PackageInput, directory: Path) -> PackagedImage:
    sbom, hardware = inputs.sbom, inputs.hardware
    return PackagedImage(
        name=sbom.name,
        board=hardware.board,
        title=hardware.title,
        architecture=hardware.architecture,
        features=list(hardware.features),
        imager=list(hardware.imager),
        version=sbom.version,
        epoch=sbom.epoch,
        valid_until=sbom.epoch + inputs.valid_days * DAY_S if inputs.valid_days else 0,
        image_size_bytes=inputs.image.stat().st_size,
        image_sha256=sbom.image_sha256,
        specs=inputs.report.summarise() if inputs.report else None,
        files=[_describe_file(path, sbom.name) for path in sorted(directory.iterdir())],
    )


def _describe_file(path: Path, name: str) -> PackagedFile:
    suffix = path.suffix if path.suffix in SIGNATURES.values() else path.name.removeprefix(name)
    role = ROLES.get(suffix, "image")
    return PackagedFile(name=path.name, role=role, size_bytes=path.stat().st_size, sha256=sha256_file(path))


def _take(final: Path, work: Path, compressions: Sequence[Compression], signers: Signers) -> PackagedImage:
    """Return the existing package if it has the same content; raise ReleaseError if it differs."""
    package = load_packaged_image(final)
    described = {file.name: file.sha256 for file in package.files}
    new = {path.name: sha256_file(path) for path in work.iterdir()}
    images = {f"{package.name}.img{suffix_of(compression)}" for compression in compressions}
    signed = {name for name, suffix in SIGNATURES.items() if f"{package.name}.SHA256SUMS{suffix}" in described}
    changed = sorted(name for name, digest in new.items() if described.get(name) != digest)
    changed += sorted(images ^ {file.name for file in package.files if file.role == "image"})
    changed += [f"signatures by {name}" for name in sorted(signed ^ set(signers.names))]
    changed += [name for name, digest in described.items() if not _is_intact(final / name, digest)]
    if changed:
        raise ReleaseError(
            f"{final} exists already, with other content: {', '.join(dict.fromkeys(changed))}",
            hint="remove it, or use another --output directory; if it was released, build a new version",
        )
    log.note(f"{final} exists already, with the same content")
    return package


def _is_intact(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256
