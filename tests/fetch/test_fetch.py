# SPDX-License-Identifier: MIT
"""The newest image of a board from a server: as it should be, and as an attacker would like."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.errors import DownloadError, RecipeError, ReleaseError, TrustError
from builder.fetch.fetch import FetchedImage, FetchRequest, fetch, is_older
from builder.fetch.sources import open_source
from builder.net import http
from builder.packaging.check import check_release
from builder.packaging.model import (
    Channel,
    PackagedFile,
    PackagedImage,
    Release,
    Released,
    load_channel,
    render,
    render_package,
)
from builder.signing.signature import PublicKey, load_public_key
from tests.support.keys import MinisignKey
from tests.support.published import Published, Server, digest

pytestmark = pytest.mark.machine

NAME = "boardwright-rpi-1.0"
FILES = [f"{NAME}.{suffix}" for suffix in ("SHA256SUMS", "SHA256SUMS.minisig", "bmap", "img.xz")]
FILES += [f"{NAME}.package.json", f"{NAME}.package.json.minisig"]
PLANTED = {"name": "boardwright.pub"}


@pytest.fixture
def key(signer: MinisignKey) -> PublicKey:
    return load_public_key(signer.public_text)


@pytest.fixture
def get(server: Server, key: PublicKey, tmp_path: Path) -> Callable[..., FetchedImage]:
    def get(board: str = "rpi", **asked: Any) -> FetchedImage:
        return fetch(open_source(server.url), FetchRequest(board, **{"key": key, **asked}), tmp_path / "out")

    return get


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def change_package(published: Published, **change: Any) -> None:
    """Change what the server says of the rpi, in the channel's file, and not what is signed."""
    change_released(published, lambda it: it.model_copy(update={"package": it.package.model_copy(update=change)}))


def change_released(published: Published, change: Callable[[Released], Released]) -> None:
    path = published.tree / "channels/stable.json"
    channel = load_channel(path.read_bytes(), path)
    boards = channel.release.boards | {"rpi": change(channel.release.boards["rpi"])}
    release = channel.release.model_copy(update={"boards": boards})
    path.write_bytes(render(channel.model_copy(update={"release": release})))


def describe_again(published: Published, package: PackagedImage) -> None:
    """Write and name another description of the rpi; whoever does this has no key, so the signature is the old one."""
    text = render_package(package)
    path = published.tree / "v1.0/rpi" / f"{NAME}.package.json"
    path.write_text(text, encoding="utf-8")
    described = PackagedFile(name=path.name, role="manifest", size_bytes=len(text), sha256=digest(text.encode()))

    def change(it: Released) -> Released:
        rest = [file for file in it.signed if file.name != path.name]
        return Released.model_construct(package=package, signed=[described, *rest])

    change_released(published, change)


def package_of(published: Published) -> PackagedImage:
    path = published.tree / "v1.0/rpi" / f"{NAME}.package.json"
    return PackagedImage.model_validate_json(path.read_bytes())


def test_the_newest_is_taken_and_checked(
    get: Callable[..., FetchedImage], published: Published, key: PublicKey, tmp_path: Path
) -> None:
    taken = get()
    assert taken.image.read_bytes() == (published.tree / f"v1.0/rpi/{NAME}.img.xz").read_bytes()
    assert (taken.tag, taken.key, taken.package.version) == ("v1.0", key.name, "1.0")
    assert names(tmp_path / "out") == sorted(FILES)


def test_the_sums_that_were_taken_are_right(get: Callable[..., FetchedImage], tmp_path: Path) -> None:
    get()
    checked = subprocess.run(
        ["sha256sum", "--check", "--ignore-missing", f"{NAME}.SHA256SUMS"],
        cwd=tmp_path / "out",
        check=True,
        capture_output=True,
    )
    assert f"{NAME}.img.xz: OK" in checked.stdout.decode()


def test_without_a_key_it_is_said_that_nobody_vouches(
    get: Callable[..., FetchedImage], capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(key=None).key == ""
    assert "warning: without a key the signature is not checked" in capsys.readouterr().err


@pytest.mark.parametrize(("days", "is_warned"), [(-1, True), (1, False), (None, False)])
def test_an_image_past_its_date_is_warned_of(
    days: int | None,
    is_warned: bool,
    get: Callable[..., FetchedImage],
    published: Published,
    capsys: pytest.CaptureFixture[str],
) -> None:
    until = int(time.time()) + days * 86400 if days else 0
    describe_again(published, package_of(published).model_copy(update={"valid_until": until}))
    get(key=None)
    assert ("a newer image was expected by" in capsys.readouterr().err) is is_warned
    check_release(published.tree / "v1.0")
    assert ("a newer image was expected by" in capsys.readouterr().err) is is_warned


def test_a_second_call_fetches_nothing_large(get: Callable[..., FetchedImage], server: Server) -> None:
    get()
    get()
    assert server.asked[f"/v1.0/rpi/{NAME}.img.xz"] == 1


def test_a_channel_and_a_version_can_be_named(get: Callable[..., FetchedImage], published: Published) -> None:
    published.name("latest", published.release("v1.1-rc1"))
    assert get(channel="latest").package.version == "1.1-rc1"
    assert get(version="1.0").package.version == "1.0"


def test_a_compression_can_be_named(get: Callable[..., FetchedImage]) -> None:
    assert get(compression="zst").image.name == f"{NAME}.img.zst"
    with pytest.raises(RecipeError, match="has no zip") as caught:
        get(compression="zip")
    assert caught.value.hint == "use one of: xz, zst"


def test_a_package_without_image_is_an_error(published: Published, get: Callable[..., FetchedImage]) -> None:
    published.name("stable", published.release("v1.1", boards=("rpi",), compressions=()))
    with pytest.raises(ReleaseError, match="has no image"):
        get()


def test_an_unknown_board_is_told_which_there_are(get: Callable[..., FetchedImage]) -> None:
    with pytest.raises(RecipeError, match="has no board pi9") as caught:
        get("pi9")
    assert caught.value.hint == "use one of: qemu-arm64, rpi"


@pytest.mark.parametrize("board", ["../rpi", "", "/etc/passwd"])
def test_a_board_that_is_no_name_is_unknown(get: Callable[..., FetchedImage], board: str) -> None:
    with pytest.raises(RecipeError, match="has no board"):
        get(board)


@pytest.mark.parametrize("suffix", ["img.xz", "bmap", "SHA256SUMS", "package.json", "package.json.minisig"])
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
    signature = sign_elsewhere(published, signer, f"{NAME}.package.json")

    def change(it: Released) -> Released:
        described, signed = it.signed
        new = signed.model_copy(update={"sha256": digest(signature), "size_bytes": len(signature)})
        return it.model_copy(update={"signed": [described, new]})

    change_released(published, change)
    with pytest.raises(TrustError, match=f"{NAME}.package.json was made of else"):
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
    (place / f"{NAME}.package.json").write_text(render_package(package), encoding="utf-8")
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
    path = published.tree / f"v1.0/rpi/{NAME}.package.json"
    path.write_bytes(b"{}\n")
    described = PackagedFile(name=path.name, role="manifest", size_bytes=3, sha256=digest(b"{}\n"))
    change_released(published, lambda it: Released(package=it.package, signed=[described]))
    with pytest.raises(ReleaseError, match=r"package\.json: name: Field required"):
        get(key=None)
    change_released(published, lambda it: Released(package=it.package, signed=[]))
    with pytest.raises(ReleaseError, match="has no description"):
        get(key=None)


def test_a_channel_that_goes_back_is_refused(
    get: Callable[..., FetchedImage], published: Published, tmp_path: Path
) -> None:
    old = (published.tree / "channels/stable.json").read_bytes()
    published.name("stable", published.release("v1.1"))
    assert get().package.version == "1.1"
    (published.tree / "channels/stable.json").write_bytes(old)
    with pytest.raises(TrustError, match=r"names 1\.0 of rpi; .*/out has 1\.1, which is newer") as caught:
        get()
    assert "--version 1.0" in caught.value.hint
    assert f"{NAME}.img.xz" not in names(tmp_path / "out")
    assert get("qemu-arm64").package.version == "1.0", "of another board nothing newer is here"
    assert get(version="1.0").package.version == "1.0", "somebody who wants it gets it"


def test_what_describes_no_image_is_passed_over(
    get: Callable[..., FetchedImage], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/other.package.json").write_text("{}", encoding="utf-8")
    assert get().image.is_file()
    assert "is not the description of an image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("1.0-rc1", "1.0", True),
        ("1.9", "1.10", True),
        ("1.0", "1.0", False),
        ("v2", "1.0", False),
        ("1.0-3-gabc1234", "1.0", True),
    ],
)
def test_versions_have_an_order(published: Published, one: str, other: str, older: bool) -> None:
    package = package_of(published)
    young = package.model_copy(update={"version": other, "epoch": package.epoch + 1})
    assert is_older(package.model_copy(update={"version": one}), young) is older


def test_a_broken_download_can_be_called_again(
    get: Callable[..., FetchedImage], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "RETRIES", replace(http.RETRIES, attempts=1))
    server.behaviour = "breaks"
    with pytest.raises(DownloadError):
        get()
    assert f"{NAME}.img.xz" not in names(tmp_path / "out")
    server.behaviour = "good"
    assert get().image.is_file()
    assert "bytes=200000-" in server.ranges
