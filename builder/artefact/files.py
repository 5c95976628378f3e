# SPDX-License-Identifier: MIT
"""Make the finished files of a build: compressed image, digest, list of packages, reports of the specs.

    OUTPUT/<name>.img.zst           the image (.xz, .gz, .zip or no suffix, depending on the compression)
    OUTPUT/<name>.img.zst.sha256    for `sha256sum --check`
    OUTPUT/<name>.packages          installed packages: name, version, architecture, size in KiB; separated by tabs
    OUTPUT/<name>.specs.json, .xml  results of the specs

All files are made in OUTPUT/.<name>.partial/, and renamed when all of them are synced. The digest file is renamed last:
if it exists, the rest is complete. Files of an earlier build with that name are replaced (artefact/earlier.py names
them), other files stay.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builder.artefact.compress import Compression, compress, suffix_of
from builder.artefact.earlier import remove_earlier
from builder.errors import BusyError, disk_full_as_space_error
from builder.system.atomic import give_name, sync
from builder.system.checksums import render_sum, sha256_file
from builder.system.locks import lock_named
from builder.system.trusted_state import check_no_link
from builder.system.workspace import Journal

__all__ = ["Artefact", "Compression", "PackageRow", "make_artefact", "render_packages"]

COLUMNS = ("name", "version", "architecture", "installed size in KiB")


class PackageRow(Protocol):
    """An installed package."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def size_kib(self) -> int: ...


@dataclass(frozen=True)
class Artefact:
    """A finished file."""

    path: Path
    size_bytes: int
    sha256: str

    def to_row(self) -> dict[str, Any]:
        """Return the artefact as a row for JSON events."""
        return {"path": str(self.path), "size": self.size_bytes, "sha256": self.sha256}


def make_artefact(
    image: Path,
    *,
    name: str,
    compression: Compression,
    packages: Sequence[PackageRow],
    output: Path,
    epoch: int,
    reports: Callable[[str], Sequence[Path]] = lambda _: (),
    journal: Journal | None = None,
    log_file: Path | None = None,
) -> tuple[Artefact, ...]:
    """Make the artefacts of an image in `output` and return them: image, digest, packages, reports.

    reports  function from the digest of the image to the paths of the reports; called last, so it may wait for checks
             that run in parallel

    Raises SpaceError, BusyError (another build makes the same artefacts), ToolError, MachineError, and any error of
    `reports`. After an error no file of this build is in `output`.
    """
    with open_partial(output, name, journal) as partial:
        return finish_artefact(
            image,
            partial,
            name=name,
            compression=compression,
            packages=packages,
            output=output,
            epoch=epoch,
            reports=reports,
            log_file=log_file,
        )


def open_partial(output: Path, name: str, journal: Journal | None) -> AbstractContextManager[Path]:
    """Lock the directory of unfinished artefacts of a build; BusyError if another build holds it."""
    output.mkdir(parents=True, exist_ok=True)
    return partial_directory(output / f".{name}.partial", journal)


def finish_artefact(
    image: Path,
    partial: Path,
    *,
    name: str,
    compression: Compression,
    packages: Sequence[PackageRow],
    output: Path,
    epoch: int,
    reports: Callable[[str], Sequence[Path]],
    on_product: Callable[[Artefact], None] | None = None,
    log_file: Path | None = None,
) -> tuple[Artefact, ...]:
    """Like `make_artefact`, in a locked directory; an uncompressed image may be in it already.

    on_product  called with the finished image in `partial`, before `reports`. If given, files are not synced, because
                the caller copies the artefacts to another disk.
    """
    keep: Callable[[Path], None] = sync if on_product is None else lambda _: None
    product = partial / f"{name}.img{suffix_of(compression)}"
    digest = sha256_file(image)
    if product != image:
        compress(image, product, compression=compression, name=f"{name}.img", epoch=epoch, log_file=log_file)
    keep(product)
    described = _describe(product, digest if compression == "none" else sha256_file(product))
    if on_product:
        on_product(described)
    listing = write_text(partial / f"{name}.packages", render_packages(packages), keep)
    checksum = write_text(partial / f"{product.name}.sha256", render_sum(described.sha256, product.name), keep)
    copies = [write_text(partial / path.name, path.read_text(encoding="utf-8"), keep) for path in reports(digest)]
    artefacts = (described, *(_describe(path, sha256_file(path)) for path in (checksum, listing, *copies)))
    remove_earlier(output, [artefact.path.name for artefact in artefacts], partial)
    (output / checksum.name).unlink(missing_ok=True)  # The old digest is wrong from the next line on.
    for path in (product, listing, *copies, checksum):
        give_name(path, output / path.name, durable=False)
    keep(output)
    return tuple(Artefact(output / artefact.path.name, artefact.size_bytes, artefact.sha256) for artefact in artefacts)


def render_packages(packages: Sequence[PackageRow]) -> str:
    """Return the table of packages, sorted by name and architecture, with a header line."""
    rows = [(package.name, package.version, package.architecture, str(package.size_kib)) for package in packages]
    return "".join("\t".join(row) + "\n" for row in [COLUMNS, *sorted(rows, key=lambda row: (row[0], row[2], row[1]))])


@contextmanager
def partial_directory(path: Path, journal: Journal | None) -> Iterator[Path]:
    """Create and lock a directory; BusyError if another build of that name holds it, from another state directory."""
    check_no_link(path)
    path.mkdir(exist_ok=True)  # Not in the journal yet: until it is locked, it may belong to another build.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _busy(path) from None
    try:
        if not lock_named(descriptor, path, wait=False):
            raise _busy(path)  # Locked. Or its build has just ended, and a third build may have the name.
        _empty(path)
        with journal.holding("directory", path) if journal else _removed_at_the_end(path):
            yield path
    finally:
        os.close(descriptor)


def _empty(path: Path) -> None:
    """Remove all content of a directory: a write to a symbolic link in it would change the link's target."""
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _busy(path: Path) -> BusyError:
    return BusyError(f"another build is making {path}", hint="wait for it, or choose another --output")


@contextmanager
def _removed_at_the_end(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(path)


def write_text(path: Path, text: str, keep: Callable[[Path], None] = sync) -> Path:
    """Write a file and call `keep`, which syncs it to the disk by default."""
    with disk_full_as_space_error(path):
        path.write_text(text, encoding="utf-8")
    keep(path)
    return path


def _describe(path: Path, sha256: str) -> Artefact:
    return Artefact(path, path.stat().st_size, sha256)
