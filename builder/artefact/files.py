# SPDX-License-Identifier: MIT
"""The finished files of a build: compressed image, its digest, its list of packages, what the specs found.

    OUTPUT/<name>.img.zst           the image (.xz, .gz, .zip or nothing by compression)
    OUTPUT/<name>.img.zst.sha256    for `sha256sum --check`
    OUTPUT/<name>.packages          what is installed: name, version, architecture, size in KiB; tabs between
    OUTPUT/<name>.specs.json, .xml  what the specs found

Everything is made in OUTPUT/.<name>.partial/ and renamed when all of it is on the disk; the digest comes last, so
where it is, the rest is complete. Files of an earlier build of that name are replaced (release/earlier.py says which),
others are left alone.
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
        """Return it as events have it."""
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

    reports  (digest of the image): return the reports; called last, so that it may wait for checks that run beside

    Raises SpaceError, BusyError (another build is making the same), ToolError, MachineError, and what `reports`
    raises; then nothing of this build is in `output`.
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
    """Hold the directory of unfinished artefacts of a build; BusyError when another build has it."""
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
    """Do what `make_artefact` does with a directory that is held; an uncompressed image may be in it already.

    on_product  called with the finished image in `partial`, before `reports`. Who gives one takes the artefacts to
                another disk: nothing is made to be on this one before it has its name.
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
    made = (described, *(_describe(each, sha256_file(each)) for each in (checksum, listing, *copies)))
    remove_earlier(output, [each.path.name for each in made], partial)
    (output / checksum.name).unlink(missing_ok=True)  # The old digest is wrong from the next line on.
    for path in (product, listing, *copies, checksum):
        give_name(path, output / path.name, durable=False)
    keep(output)
    return tuple(Artefact(output / each.path.name, each.size_bytes, each.sha256) for each in made)


def render_packages(packages: Sequence[PackageRow]) -> str:
    """Return the table of packages, sorted by name and architecture, with a header line."""
    rows = [(each.name, each.version, each.architecture, str(each.size_kib)) for each in packages]
    return "".join("\t".join(row) + "\n" for row in [COLUMNS, *sorted(rows, key=lambda row: (row[0], row[2], row[1]))])


@contextmanager
def partial_directory(path: Path, journal: Journal | None) -> Iterator[Path]:
    """Hold a directory; a lock on it keeps a second build of the same name (another state directory) out."""
    check_no_link(path)
    path.mkdir(exist_ok=True)  # Not yet in the journal: until it is locked, it may be the other build's to remove.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _busy(path) from None
    try:
        if not lock_named(descriptor, path, wait=False):
            raise _busy(path)  # Held, or it ended just now and the name may be a third one's already.
        _empty(path)
        with journal.holding("directory", path) if journal else _removed_at_the_end(path):
            yield path
    finally:
        os.close(descriptor)


def _empty(path: Path) -> None:
    """Remove what a directory of this name holds already: a link in it would be written through."""
    for each in path.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def _busy(path: Path) -> BusyError:
    return BusyError(f"another build is making {path}", hint="wait for it, or name another --output")


@contextmanager
def _removed_at_the_end(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(path)


def write_text(path: Path, text: str, keep: Callable[[Path], None] = sync) -> Path:
    """Write a file and `keep` it: have it on the disk."""
    with disk_full_as_space_error(path):
        path.write_text(text, encoding="utf-8")
    keep(path)
    return path


def _describe(path: Path, sha256: str) -> Artefact:
    return Artefact(path, path.stat().st_size, sha256)
