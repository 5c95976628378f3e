# SPDX-License-Identifier: MIT
"""Images from a server that are not what their publisher signed: refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import RecipeError, ReleaseError, TrustError
from builder.fetch.fetch import FetchedImage, FetchRequest, fetch
from builder.fetch.sources import open_source
from builder.packaging.model import (
    Channel,
    PackagedFile,
    Release,
    Released,
    load_channel,
    render,
    render_package,
)
from builder.signing.signature import PublicKey, load_public_key
from tests.support.changed_release import NAME, change_package, change_released, describe_again, names, package_of
from tests.support.keys import MinisignKey
from tests.support.published import Published, digest

pytestmark = pytest.mark.machine

PLANTED = {"name": "boardwright.pub"}


@pytest.mark.parametrize("board", ["../rpi", "", "/etc/passwd"])
def test_a_board_that_is_no_name_is_unknown(get: Callable[..., FetchedImage], board: str) -> None:
    with pytest.raises(RecipeError, match="has no board"):
        get(board)


@pytest.mark.parametrize("suffix", ["img.xz", "bmap", "SHA256SUMS", "manifest.json", "manifest.json.minisig"])
def test_every_spoilt_file_is_refused(
    get: Callable[..., FetchedImage], published: Published, tmp_path: Path, suffix: str
) -> None:
    path = published.tree / f"v1.0/rpi/{NAME}.{suffix}"
    path.write_bytes(path.read_bytes()[:-2] + b"!\n")
    with pytest.raises(TrustError, match="sha256"):
        get()
    assert f"{NAME}.img.xz" not in names(tmp_path / "out")
    assert f"{NAME}.{suffix}" not in names(tmp_path / "out")


def test_another_key_is_refused_before_anything_is_downloaded(
    get: Callable[..., FetchedImage], other_signer: MinisignKey, tmp_path: Path
) -> None:
    with pytest.raises(TrustError, match="it is signed by the key"):
        get(key=load_public_key(other_signer.public_text))
    assert names(tmp_path / "out") == []


def test_with_a_key_an_unsigned_release_is_refused(tmp_path: Path, key: PublicKey) -> None:
    made = Published(tmp_path / "bare", None)
    made.name("stable", made.release("v1.0"))
    with pytest.raises(TrustError, match="rpi is not signed"):
        fetch(open_source(str(made.tree)), FetchRequest("rpi", key=key), tmp_path / "out")
    assert fetch(open_source(str(made.tree)), FetchRequest("rpi"), tmp_path / "out").image.is_file()


def test_an_image_exchanged_with_all_digests_is_refused(get: Callable[..., FetchedImage], published: Published) -> None:
    image = published.tree / f"v1.0/rpi/{NAME}.img.xz"
    image.write_bytes(b"evil")
    package = package_of(published)
    files = [
        file.model_copy(update={"sha256": digest(b"evil"), "size_bytes": 4}) if file.name == image.name else file
        for file in package.files
    ]
    describe_again(published, package.model_copy(update={"files": files}))
    assert get(key=None).image.read_bytes() == b"evil", "this is what a key is for"
    with pytest.raises(TrustError, match="not of this file"):
        get()


def test_a_changed_channel_file_is_refused(get: Callable[..., FetchedImage], published: Published) -> None:
    change_package(published, title="Something nicer")
    with pytest.raises(TrustError, match="differs from the publisher's description"):
        get()


def sign_elsewhere(published: Published, signer: MinisignKey, name: str) -> bytes:
    """Put in the place of a file's signature one of the same bytes under another name."""
    place = published.tree / "v1.0/rpi"
    shutil.copy(place / name, place / "else")
    return signer.sign(place / "else").rename(place / f"{name}.minisig").read_bytes()


def test_the_signature_of_another_file_is_refused(
    get: Callable[..., FetchedImage], published: Published, signer: MinisignKey
) -> None:
    """What is signed for one place is not good for another."""
    signature = sign_elsewhere(published, signer, f"{NAME}.manifest.json")

    def change(it: Released) -> Released:
        described, signed = it.signed
        new = signed.model_copy(update={"sha256": digest(signature), "size_bytes": len(signature)})
        return it.model_copy(update={"signed": [described, new]})

    change_released(published, change)
    with pytest.raises(TrustError, match=f"{NAME}.manifest.json was made of else"):
        get()


def test_sums_with_the_signature_of_another_file_are_refused(
    get: Callable[..., FetchedImage], published: Published, signer: MinisignKey
) -> None:
    """Its publisher may have made a mistake: the description is signed, and names the wrong signature."""
    signature = sign_elsewhere(published, signer, f"{NAME}.SHA256SUMS")
    package, place = package_of(published), published.tree / "v1.0/rpi"
    new = {"sha256": digest(signature), "size_bytes": len(signature)}
    files = [file.model_copy(update=new) if file.role == "signature" else file for file in package.files]
    package = package.model_copy(update={"files": files})
    (place / f"{NAME}.manifest.json").write_text(render_package(package), encoding="utf-8")
    released = published.signed(package, place)
    change_released(published, lambda _: released)
    with pytest.raises(TrustError, match=f"{NAME}.SHA256SUMS was made of else"):
        get()


def test_an_image_of_another_board_is_refused(get: Callable[..., FetchedImage], published: Published) -> None:
    path = published.tree / "channels/stable.json"
    channel = load_channel(path.read_bytes(), path)
    boards = {"rpi": channel.release.boards["qemu-arm64"]}
    path.write_bytes(
        render(channel.model_copy(update={"release": channel.release.model_copy(update={"boards": boards})}))
    )
    for file in (published.tree / "v1.0/qemu-arm64").iterdir():
        shutil.copy(file, published.tree / "v1.0/rpi")
    with pytest.raises(TrustError, match="board: found qemu-arm64; expected rpi"):
        get()


def test_an_old_image_under_a_new_version_is_refused(get: Callable[..., FetchedImage], published: Published) -> None:
    def rename(release: Release) -> Release:
        return release.model_copy(update={"version": "2.0", "tag": "v2.0"})

    path = published.tree / "channels/stable.json"
    channel: Channel = load_channel(path.read_bytes(), path)
    shutil.copytree(published.tree / "v1.0", published.tree / "v2.0")
    path.write_bytes(render(channel.model_copy(update={"release": rename(channel.release)})))
    with pytest.raises(TrustError, match=r"version: found 1\.0 in the description; expected 2\.0"):
        get()


def test_a_signature_of_another_name_is_refused(get: Callable[..., FetchedImage], published: Published) -> None:
    def plant(released: Released) -> Released:
        return released.model_copy(update={"signed": [*released.signed, released.signed[0].model_copy(update=PLANTED)]})

    change_released(published, plant)
    with pytest.raises(TrustError, match=r"boardwright\.pub is not a file of boardwright-rpi-1\.0"):
        get(key=None)


@pytest.mark.parametrize("name", ["../../escaped", "/etc/cron.d/x", "..", ".bashrc", "a/b", "x\n", ""])
def test_a_name_that_leads_elsewhere_is_refused(
    get: Callable[..., FetchedImage], published: Published, tmp_path: Path, name: str
) -> None:
    package = package_of(published)
    bad = package.files[0].model_copy(update={"name": name})
    describe_again(published, package.model_copy(update={"files": [bad, *package.files[1:]]}))
    with pytest.raises(ReleaseError, match="name"):
        get(key=None)
    assert names(tmp_path / "out") == []
    assert names(tmp_path) == ["srv"]


def test_a_file_of_another_name_is_refused(get: Callable[..., FetchedImage], published: Published) -> None:
    package = package_of(published)
    bad = package.files[0].model_copy(update={"name": "authorized_keys"})
    describe_again(published, package.model_copy(update={"files": [bad, *package.files[1:]]}))
    with pytest.raises(ReleaseError, match="found the file 'authorized_keys'; expected a name that begins with"):
        get(key=None)


def test_a_description_that_is_none_is_an_error(get: Callable[..., FetchedImage], published: Published) -> None:
    path = published.tree / f"v1.0/rpi/{NAME}.manifest.json"
    path.write_bytes(b"{}\n")
    described = PackagedFile(name=path.name, role="manifest", size_bytes=3, sha256=digest(b"{}\n"))
    change_released(published, lambda it: Released(image=it.image, signed=[described]))
    with pytest.raises(ReleaseError, match=r"manifest\.json: name: Field required"):
        get(key=None)
    change_released(published, lambda it: Released(image=it.image, signed=[]))
    with pytest.raises(ReleaseError, match="has no description"):
        get(key=None)
