# SPDX-License-Identifier: MIT
"""Files of a release from a server that breaks off, cuts, lies or knows no ranges; and whole releases."""

from __future__ import annotations

import fcntl
import io
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder import log
from builder.errors import BusyError, DownloadError, MachineError, RecipeError, SpaceError, TrustError
from builder.fetch.download import download, download_release, open_release
from builder.fetch.read import find, read
from builder.net import http
from builder.packaging.model import PackagedFile, load_release
from tests.support.published import Behaviour, Published, Server

pytestmark = pytest.mark.machine

NAME = "boardwright-rpi-1.0.img.xz"


@pytest.fixture
def wanted(published: Published) -> PackagedFile:
    release = load_release((published.tree / "v1.0/release.json").read_bytes(), "here")
    return next(file for file in release.boards["rpi"].files if file.name == NAME)


@pytest.fixture
def content(published: Published) -> bytes:
    return (published.tree / "v1.0/rpi" / NAME).read_bytes()


@pytest.fixture
def url(server: Server) -> str:
    return f"{server.url}/v1.0/rpi/{NAME}"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_downloaded_once(
    server: Server, url: str, wanted: PackagedFile, content: bytes, tmp_path: Path
) -> None:
    there = tmp_path / "deep/out"
    for _ in range(2):
        assert download(url, wanted, there) == there / NAME
    assert (there / NAME).read_bytes() == content
    assert server.ranges == [""]
    assert names(there) == [NAME]


def test_of_a_large_file_that_is_there_it_is_said(
    url: str, wanted: PackagedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builder.fetch.download.MIB", 1000)
    download(url, wanted, tmp_path)
    assert f"fetch {NAME} (390.6 KiB)" in capsys.readouterr().err
    download(url, wanted, tmp_path)
    assert "exists already, with the right digest" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("behaviour", "ranges"), [("breaks once", ["", "bytes=200000-"]), ("no ranges", [""]), ("good", [""])]
)
def test_what_breaks_off_goes_on(
    server: Server,
    url: str,
    wanted: PackagedFile,
    content: bytes,
    tmp_path: Path,
    behaviour: Behaviour,
    ranges: list[str],
) -> None:
    server.behaviour = behaviour
    assert download(url, wanted, tmp_path / "out").read_bytes() == content
    assert server.ranges == ranges


def test_a_later_call_goes_on_where_the_first_ended(
    server: Server, url: str, wanted: PackagedFile, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "RETRIES", replace(http.RETRIES, attempts=1))
    server.behaviour = "breaks"
    with pytest.raises(DownloadError) as caught:
        download(url, wanted, tmp_path / "out")
    assert "resumes the download" in caught.value.hint
    assert names(tmp_path / "out") == [f".{NAME}.partial"]
    server.behaviour = "good"
    assert download(url, wanted, tmp_path / "out").read_bytes() == content
    assert server.ranges == ["", "bytes=200000-"]
    assert names(tmp_path / "out") == [NAME]


@pytest.mark.parametrize("behaviour", ["good", "no ranges"])
@pytest.mark.parametrize("left", [b"other things", b"x" * 900_000, b"x" * 2_000_000])
def test_what_was_left_and_does_not_fit_is_fetched_anew(
    server: Server, url: str, wanted: PackagedFile, content: bytes, tmp_path: Path, behaviour: Behaviour, left: bytes
) -> None:
    server.behaviour = behaviour
    (tmp_path / f".{NAME}.partial").write_bytes(left[: len(content)] if len(left) == 900_000 else left)
    assert download(url, wanted, tmp_path).read_bytes() == content


def test_a_complete_partial_file_is_only_named(
    server: Server, url: str, wanted: PackagedFile, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / f".{NAME}.partial").write_bytes(content)
    assert download(url, wanted, tmp_path).read_bytes() == content
    assert server.ranges == []


def test_a_spoilt_file_is_refused_and_nothing_stays(
    published: Published, url: str, wanted: PackagedFile, content: bytes, tmp_path: Path
) -> None:
    (published.tree / "v1.0/rpi" / NAME).write_bytes(content[:-1] + b"!")
    with pytest.raises(TrustError, match=f"expected {wanted.sha256}"):
        download(url, wanted, tmp_path / "out")
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("behaviour", "kind", "message"),
    [
        ("cuts", DownloadError, "the file ended after 100000 of"),
        ("endless", TrustError, "found more than"),
    ],
)
def test_another_length_is_refused(
    server: Server,
    url: str,
    wanted: PackagedFile,
    tmp_path: Path,
    behaviour: Behaviour,
    kind: type[Exception],
    message: str,
) -> None:
    server.behaviour = behaviour
    with pytest.raises(kind, match=message):
        download(url, wanted, tmp_path / "out")
    assert NAME not in names(tmp_path / "out")


def test_another_part_than_asked_for_is_refused(server: Server, url: str, wanted: PackagedFile, tmp_path: Path) -> None:
    server.behaviour = "other part"
    (tmp_path / f".{NAME}.partial").write_bytes(b"xz of ")
    with pytest.raises(DownloadError, match="found the range"):
        download(url, wanted, tmp_path)


def test_another_file_of_that_name_is_replaced_after_saying_so(
    url: str, wanted: PackagedFile, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).write_bytes(b"built here")
    assert download(url, wanted, tmp_path).read_bytes() == content
    assert "will be replaced" in capsys.readouterr().err


def test_of_two_calls_the_second_is_told(url: str, wanted: PackagedFile, tmp_path: Path) -> None:
    with (tmp_path / f".{NAME}.partial").open("ab") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another call"):
            download(url, wanted, tmp_path)


def test_a_call_that_ended_just_now_keeps_its_file(
    url: str, wanted: PackagedFile, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object) -> None:
        (tmp_path / f".{NAME}.partial").rename(tmp_path / NAME)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(BusyError, match="another call"):
        download(url, wanted, tmp_path)


def test_progress_goes_on_from_what_was_there(url: str, wanted: PackagedFile, content: bytes, tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.partial").write_bytes(content[: len(content) // 2])
    output = io.StringIO()
    with log.use(log.Json(output)):
        download(url, wanted, tmp_path)
    assert '"fraction": 1.0' in output.getvalue()
    assert '"fraction": 0.1' not in output.getvalue()
    assert "resuming after" in output.getvalue()


@pytest.mark.parametrize("kind", ["uri", "quoted"])
def test_a_directory_is_read_like_a_server(
    published: Published, wanted: PackagedFile, content: bytes, tmp_path: Path, kind: str
) -> None:
    place = published.tree / "v1.0/rpi"
    if kind == "quoted":
        place = place.rename(place.with_name("with space"))
    (tmp_path / f".{NAME}.partial").write_bytes(content[:1000])
    assert download(f"{place.as_uri()}/{NAME}", wanted, tmp_path).read_bytes() == content


def test_a_file_that_is_not_there_is_an_error_with_a_hint(
    server: Server, published: Published, wanted: PackagedFile, tmp_path: Path
) -> None:
    for place in (server.url, published.tree.as_uri()):
        with pytest.raises(DownloadError, match=r"404|does not exist") as caught:
            download(f"{place}/nowhere/{NAME}", wanted, tmp_path)
        assert "--from" in caught.value.hint
        with pytest.raises(DownloadError, match="does not exist"):
            read(f"{place}/nowhere")
        assert find(f"{place}/v1.0/release.json/nowhere") is None
    with pytest.raises(DownloadError, match="found a directory"):
        read(published.tree.as_uri())


def test_a_description_without_end_is_not_read(
    server: Server, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.fetch.read.LONGEST", 100)
    for place in (server.url, published.tree.as_uri()):
        with pytest.raises(DownloadError, match=r"longer than the limit|more than 100 B"):
            read(f"{place}/v1.0/release.json")


def test_a_full_disk_is_a_space_error_and_can_go_on(url: str, wanted: PackagedFile, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        with pytest.raises(SpaceError, match=NAME):
            download(url, wanted, small)
        assert names(small) == [f".{NAME}.partial"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_release_is_downloaded_whole(server: Server, published: Published, tmp_path: Path) -> None:
    made = download_release(f"{server.url}/v1.0", tmp_path / "into")
    assert made == tmp_path / "into/v1.0"
    there = sorted(str(path.relative_to(published.tree / "v1.0")) for path in (published.tree / "v1.0").rglob("*.*"))
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*.*")) == there
    assert {path.name for path in (made / "rpi").iterdir()} >= {NAME, "boardwright-rpi-1.0.manifest.json.minisig"}


@pytest.mark.parametrize("of", [lambda server, _: server.url, lambda _, tree: tree.as_uri(), lambda _, tree: str(tree)])
def test_one_board_of_a_release_is_downloaded(
    server: Server, published: Published, tmp_path: Path, of: Callable[[Server, Path], str]
) -> None:
    made = download_release(f"{of(server, published.tree)}/v1.0/qemu-arm64/", tmp_path / "into")
    assert made == tmp_path / "into/v1.0/qemu-arm64"
    assert names(made.parent) == ["qemu-arm64", "release.json"]


def test_a_release_is_there_as_long_as_it_is_looked_at(server: Server, published: Published, tmp_path: Path) -> None:
    with open_release(f"{server.url}/v1.0/rpi", tmp_path / "scratch") as directory:
        assert (directory / NAME).is_file()
    assert names(tmp_path / "scratch") == []
    with open_release(str(published.tree / "v1.0/rpi"), tmp_path / "scratch") as directory:
        assert directory == published.tree / "v1.0/rpi"
    assert (published.tree / "v1.0/rpi" / NAME).is_file()


@pytest.mark.parametrize("place", ["scratch", "scratch/v1.0", "scratch/v1.0/rpi"])
def test_no_release_is_downloaded_or_removed_through_a_link(server: Server, tmp_path: Path, place: str) -> None:
    """The directory of downloads is a part of work/."""
    (tmp_path / "victim/rpi").mkdir(parents=True)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).symlink_to(tmp_path / "victim")
    with pytest.raises(MachineError, match="is a link"), open_release(f"{server.url}/v1.0", tmp_path / "scratch"):
        pytest.fail("it was downloaded")
    assert [str(path.relative_to(tmp_path / "victim")) for path in (tmp_path / "victim").rglob("*")] == ["rpi"]


def test_a_release_that_broke_off_is_gone_on_with(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "RETRIES", replace(http.RETRIES, attempts=1))
    server.behaviour = "breaks"
    with pytest.raises(DownloadError), open_release(f"{server.url}/v1.0/rpi", tmp_path / "scratch"):
        pytest.fail("it is not complete")
    server.behaviour = "good"
    with open_release(f"{server.url}/v1.0/rpi", tmp_path / "scratch") as directory:
        assert (directory / NAME).is_file()
    assert "bytes=200000-" in server.ranges


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("{url}", "expected an address of releases|expected the address of a release"),
        ("{url}/v2.0", "expected the address of a release"),
        ("{url}/v1.0/pi9", "has no board pi9"),
        ("{url}/v1.0/rpi/x", "expected the address of a release"),
        ("github:a/b", "has many releases"),
        ("ftp://127.0.0.1/v1.0", "expected an address of releases"),
    ],
)
def test_what_is_no_release_is_an_error(server: Server, tmp_path: Path, place: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        download_release(place.format(url=server.url), tmp_path)
    assert caught.value.hint
    assert names(tmp_path) == ["srv"]
