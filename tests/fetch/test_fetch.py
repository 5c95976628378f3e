# SPDX-License-Identifier: MIT
"""The newest image of a board from a server."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import DownloadError, RecipeError, ReleaseError, TrustError
from builder.fetch.fetch import FetchedImage, is_older
from builder.net import http
from builder.packaging.check import check_release
from builder.signing.signature import PublicKey
from tests.support.changed_release import NAME, describe_again, names, package_of
from tests.support.published import Published, Server

pytestmark = pytest.mark.machine

FILES = [f"{NAME}.{suffix}" for suffix in ("SHA256SUMS", "SHA256SUMS.minisig", "bmap", "img.xz")]
FILES += [f"{NAME}.manifest.json", f"{NAME}.manifest.json.minisig"]


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
    assert get(version="1.0").package.version == "1.0", "it is there where it is asked for"


def test_what_describes_no_image_is_passed_over(
    get: Callable[..., FetchedImage], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/other.manifest.json").write_text("{}", encoding="utf-8")
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
