# SPDX-License-Identifier: MIT
"""The whole way of an image, by the commands that people call: packaged, released, checked from afar, fetched."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.packaging.model import load_packaged_image, render_package
from builder.system.checksums import sha256_file
from tests.chain.conftest import boardwright
from tests.support.archive import serve
from tests.support.keys import MinisignKey
from tests.support.packaged_fixtures import MadePackage

pytestmark = [pytest.mark.machine]


@pytest.fixture(scope="module")
def public(made: MadePackage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A directory that a web server serves, with the release in it, and its address."""
    place = tmp_path_factory.mktemp("public")
    with serve(place) as url:
        done = boardwright(
            *("release", f"v{version_of(made)}", "--packaged", made.directory.parent, "--board", "rpi"),
            *("--to", f"dir:{place}", "--public-url", url, "--require-signature", "--key", made.public),
        )
        assert done.returncode == 0, done.stderr
        yield place, url


def version_of(made: MadePackage) -> str:
    return str(json.loads((made.directory / f"{made.directory.name}.manifest.json").read_text())["version"])


def test_a_release_is_checked_from_afar(public: tuple[Path, str], made: MadePackage, tmp_path: Path) -> None:
    address = f"{public[1]}/v{version_of(made)}"
    done = boardwright("verify", "--release", address, "--key", made.public, "--state", tmp_path)
    assert done.returncode == 0, done.stderr
    assert made.directory.name in done.stdout
    assert not list((tmp_path / "released").iterdir())


def test_a_release_that_was_tampered_with_is_refused_from_afar(
    public: tuple[Path, str], made: MadePackage, tmp_path: Path
) -> None:
    tag = f"v{version_of(made)}"
    listing = public[0] / tag / "rpi" / f"{made.directory.name}.packages"
    before = listing.read_bytes()
    listing.write_bytes(before.replace(b"arm64", b"amd64"))
    try:
        done = boardwright(
            "verify", "--release", f"{public[1]}/{tag}", "--key", made.public, "--state", tmp_path / "state"
        )
    finally:
        listing.write_bytes(before)
    assert done.returncode == 6, done.stdout + done.stderr
    assert listing.name in done.stderr


def test_the_image_that_is_fetched_is_the_one_that_was_packaged(
    public: tuple[Path, str], made: MadePackage, tmp_path: Path
) -> None:
    done = boardwright("fetch", "rpi", "--from", public[1], "--key", made.public, "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    image = Path(done.stdout.strip())
    assert image.read_bytes() == (made.directory / image.name).read_bytes()
    sums = made.directory / f"{made.directory.name}.SHA256SUMS"
    assert f"  {image.name}\n" in sums.read_text()
    subprocess.run(["sha256sum", "--check", "--ignore-missing", sums], cwd=tmp_path, check=True, capture_output=True)


def test_the_page_and_the_list_for_imager_name_the_image(public: tuple[Path, str], made: MadePackage) -> None:
    page = (public[0] / "index.html").read_text()
    assert f"{made.directory.name}.img." in page
    assert made.public.read_text().splitlines()[-1] in page
    images = json.loads((public[0] / "os-list.json").read_text())["os_list"]
    assert f"{public[1]}/v{version_of(made)}/rpi/{made.directory.name}.img" in json.dumps(images)


def test_what_verify_refuses_is_not_released(made: MadePackage, tmp_path: Path) -> None:
    """The description has the right digest of the damaged list of components: only its content is wrong."""
    copy = Path(shutil.copytree(made.directory, tmp_path / "packaged" / made.directory.name))
    described, bom = copy / f"{copy.name}.manifest.json", copy / f"{copy.name}.cdx.json"
    content = json.loads(bom.read_text())
    content["components"].pop()
    bom.write_text(json.dumps(content))
    package = load_packaged_image(copy)
    changed = {"size_bytes": bom.stat().st_size, "sha256": sha256_file(bom)}
    files = [file.model_copy(update=changed) if file.name == bom.name else file for file in package.files]
    described.write_text(render_package(package.model_copy(update={"files": files})))
    words: list[str | Path] = ["--packaged", copy.parent, "--board", "rpi", "--to", f"dir:{tmp_path}/public"]
    done = boardwright("release", f"v{version_of(made)}", *words)
    assert done.returncode != 0
    assert f"{bom.name}: it differs from" in done.stderr
    assert not (tmp_path / "public").exists()


def test_a_signature_of_another_key_is_not_released(made: MadePackage, tmp_path: Path) -> None:
    other = MinisignKey(tmp_path, "other")
    words: list[str | Path] = ["--packaged", made.directory.parent, "--board", "rpi", "--to", f"dir:{tmp_path}/public"]
    done = boardwright("release", f"v{version_of(made)}", *words, "--key", other.public)
    assert done.returncode == 11, done.stderr
    for suffix in (".manifest.json", ".SHA256SUMS", ".provenance.json"):
        assert f"rpi: {made.directory.name}{suffix}: " in done.stderr
    assert not (tmp_path / "public").exists()
