# SPDX-License-Identifier: MIT
"""A packaged image: one directory with all that goes out with an image, complete or absent.

    OUTPUT/<name>/<name>.img.xz            the image, compressed (.zst, .gz, .zip beside or instead)
                  <name>.bmap              which blocks are to be written
                  <name>.packages          as the build made it
                  <name>.spdx.json, .cdx.json
                  <name>.specs.json, .specs.xml, .report.html
                  <name>.provenance.json
                  <name>.SHA256SUMS        of all of these
                  <name>.package.json      the description of the rest, last
                  *.minisig, *.asc         over provenance, sums and description

It is made in OUTPUT/.<name>.package.partial/ and renamed when all of it is on the disk.
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
from builder.packaging.model import SUFFIX, File, Package, Role, load_package, render_package
from builder.packaging.provenance import Commit, render_provenance
from builder.packaging.report_page import Area, render_page
from builder.packaging.sbom import Bill
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
"""The role of a file by what its name ends with; a compressed image is what is left."""
SIGNATURES: Mapping[str, str] = {"minisign": signature.SUFFIX, "gpg": gpg.SUFFIX}


@dataclass(frozen=True)
class Hardware:
    """What a recipe says of the board."""

    board: str
    title: str
    architecture: str
    features: tuple[str, ...]
    imager: tuple[str, ...]


VALID_DAYS = 365
DAY_S = 86400


@dataclass(frozen=True)
class Goods:
    """An image and all that is known of it."""

    image: Path
    """The image itself, not compressed; nobody may write to it."""
    bill: Bill
    hardware: Hardware
    report: SpecReport | None
    """None: the image goes out unverified."""
    reports: Mapping[str, str]
    """Text of the specs' files by suffix: .specs.json, .specs.xml."""
    listing: str
    """The build's list of packages."""
    areas: Sequence[Area]
    unused: Sequence[Range]
    """Ranges of the image that no filesystem uses."""
    record: Record | None
    commit: Commit | None
    valid_days: int = VALID_DAYS
    """Days from its build until a newer image is expected; 0: no end."""


def make_package(
    goods: Goods,
    output: Path,
    *,
    compressions: Sequence[Compression],
    signers: Signers,
    journal: Journal | None = None,
) -> tuple[Path, Package]:
    """Make the directory of an image below `output` and return it; one that is there already with the same is taken.

    Raises VerifyError (specs red, or not of this image), ReleaseError (there is another of that name), TrustError
    (a key is wrong), SpaceError, BusyError, ToolError, MachineError; then nothing of it is there.
    """
    name = goods.bill.name
    _check_specs(goods)
    output.mkdir(parents=True, exist_ok=True)
    final = output / name
    with partial_directory(output / f".{name}.package.partial", journal) as partial:
        work = partial / name
        work.mkdir()
        _write_papers(goods, work)
        if final.exists():
            return final, _take(final, work, compressions, signers)
        images = _compress(goods, work, compressions)
        _write(work, name, ".provenance.json", _make_provenance(goods, images))
        sums = [render_sum(sha256_file(path), path.name) for path in sorted(work.iterdir())]
        _write(work, name, ".SHA256SUMS", "".join(sums))
        _sign([work / f"{name}.provenance.json", work / f"{name}.SHA256SUMS"], name, signers)
        package = describe(goods, work)
        _sign([_write(work, name, SUFFIX, render_package(package))], name, signers)
        give_name(work, final)
    return final, package


def _check_specs(goods: Goods) -> None:
    if goods.report is None:
        log.warn(f"{goods.bill.name} is packaged unverified: nothing says what its specs found")
        return
    fault = find_fault(goods.report, goods.bill.image_sha256)
    if fault:
        raise VerifyError(
            f"{goods.bill.name} is not packaged: {fault}",
            hint="verify the image first: boardwright verify IMAGE, or package it --unverified",
        )


def _write(directory: Path, name: str, suffix: str, text: str) -> Path:
    return write_text(directory / f"{name}{suffix}", text)


def _write_papers(goods: Goods, work: Path) -> None:
    """Write what does not hang on how the image is compressed."""
    bill, name = goods.bill, goods.bill.name
    with log.step("block map"):
        _write(work, name, ".bmap", render_bmap(make_bmap(goods.image, goods.unused)))
    with log.step("bill of materials and reports"):
        _write(work, name, ".packages", goods.listing)
        _write(work, name, ".spdx.json", render_spdx(bill))
        _write(work, name, ".cdx.json", render_cyclonedx(bill))
        for suffix, text in goods.reports.items():
            _write(work, name, suffix, text)
        size = goods.image.stat().st_size
        _write(work, name, ".report.html", render_page(bill, goods.hardware.board, goods.report, goods.areas, size))


def _compress(goods: Goods, work: Path, compressions: Sequence[Compression]) -> dict[str, str]:
    """Make the compressed images and return their digests by file name."""
    image_name, found = f"{goods.bill.name}.img", {}
    for each in compressions:
        with log.step(f"compress: {each}"):
            target = work / f"{image_name}{suffix_of(each)}"
            compress(goods.image, target, compression=each, name=image_name, epoch=goods.bill.epoch)
            sync(target)
            found[target.name] = sha256_file(target)
    return found


def _make_provenance(goods: Goods, images: Mapping[str, str]) -> str:
    subjects = {f"{goods.bill.name}.img": goods.bill.image_sha256, **images}
    return render_provenance(goods.bill, goods.hardware.board, subjects, goods.record, goods.commit)


def _sign(files: Sequence[Path], name: str, signers: Signers) -> None:
    if not signers.names:
        return
    with log.step(f"sign: {' and '.join(signers.names)}"):
        if signers.minisign:
            minisign.sign(files, signers.minisign, comment=name)
        if signers.gpg:
            gpg.sign(files, signers.gpg)


def describe(goods: Goods, directory: Path) -> Package:
    """Return the description of a directory that has everything but that; ReleaseError when what the image says of
    itself cannot be in one."""
    try:
        return _describe(goods, directory)
    except ValidationError as error:
        raise ReleaseError(f"{goods.bill.name}: {explain(error)}", hint="build the image again") from None


def _describe(goods: Goods, directory: Path) -> Package:
    bill, hardware = goods.bill, goods.hardware
    return Package(
        name=bill.name,
        board=hardware.board,
        title=hardware.title,
        architecture=hardware.architecture,
        features=list(hardware.features),
        imager=list(hardware.imager),
        version=bill.version,
        epoch=bill.epoch,
        valid_until=bill.epoch + goods.valid_days * DAY_S if goods.valid_days else 0,
        image_size_bytes=goods.image.stat().st_size,
        image_sha256=bill.image_sha256,
        specs=goods.report.summarise() if goods.report else None,
        files=[_describe_file(path, bill.name) for path in sorted(directory.iterdir())],
    )


def _describe_file(path: Path, name: str) -> File:
    suffix = path.suffix if path.suffix in SIGNATURES.values() else path.name.removeprefix(name)
    role = ROLES.get(suffix, "image")
    return File(name=path.name, role=role, size_bytes=path.stat().st_size, sha256=sha256_file(path))


def _take(final: Path, work: Path, compressions: Sequence[Compression], signers: Signers) -> Package:
    """Return the package that is there already if it is what would be made; ReleaseError when it is another."""
    package = load_package(final)
    said = {file.name: file.sha256 for file in package.files}
    wanted = {path.name: sha256_file(path) for path in work.iterdir()}
    images = {f"{package.name}.img{suffix_of(each)}" for each in compressions}
    signed = {name for name, suffix in SIGNATURES.items() if f"{package.name}.SHA256SUMS{suffix}" in said}
    changed = sorted(name for name, digest in wanted.items() if said.get(name) != digest)
    changed += sorted(images ^ {file.name for file in package.files if file.role == "image"})
    changed += [f"signatures by {name}" for name in sorted(signed ^ set(signers.names))]
    changed += [name for name, digest in said.items() if not _is_intact(final / name, digest)]
    if changed:
        raise ReleaseError(
            f"{final} is there already, and is another: {', '.join(dict.fromkeys(changed))}",
            hint="remove it, or name another directory with --output; one that was released keeps its version",
        )
    log.note(f"{final} is there already, and is the same")
    return package


def _is_intact(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256
