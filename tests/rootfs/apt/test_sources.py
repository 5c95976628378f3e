# SPDX-License-Identifier: MIT
"""Archives as APT reads them, and the keys beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import MachineError, TrustError
from builder.recipe.model import Archive, Key
from builder.rootfs.apt.sources import collect_keys, install_sources, render_sources
from tests.support.keys import OpenPgpKey
from tests.support.rootfs_boards import PlanReal

SYSTEM = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _archive(*, url: str = "http://example.org/debian", key: Key | None = None, pin: int | None = None) -> Archive:
    return Archive(url=url, suites=["a", "b"], components=["main", "extra"], key=key or Key(file=SYSTEM), pin=pin)


def test_one_stanza_an_archive() -> None:
    archives = {"debian": _archive(), "vendor": _archive(url="https://vendor.example/apt")}
    text = render_sources(archives, {"debian": Path(SYSTEM), "vendor": Path("/keys/vendor.asc")})
    first, second = text.split("\n\n")
    assert first.splitlines() == [
        "Types: deb",
        "URIs: http://example.org/debian",
        "Suites: a b",
        "Components: main extra",
        f"Signed-By: {SYSTEM}",
    ]
    assert second.splitlines()[1::3] == ["URIs: https://vendor.example/apt", "Signed-By: /keys/vendor.asc"]
    assert text.endswith("asc\n")


def test_every_archive_of_a_real_board_is_signed(plan_real: PlanReal) -> None:
    archives = plan_real("rpi").recipe.archives
    text = render_sources(archives, dict.fromkeys(archives, Path(SYSTEM)))
    assert text.count("Types: deb\n") == text.count("\nSigned-By: /") == len(archives) > 1
    assert "trusted" not in text.lower()


def test_a_key_that_is_not_on_this_machine(tmp_path: Path) -> None:
    key = Key(file="/usr/share/keyrings/absent.gpg")
    with pytest.raises(TrustError, match=r"archives\.vendor: the key .*absent\.gpg is not on this machine") as caught:
        collect_keys({"vendor": _archive(key=key)}, tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["my keys", "keys,old"])
def test_a_path_that_apt_cannot_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "vendor.asc"
    path.parent.mkdir()
    path.touch()
    with pytest.raises(MachineError, match=f"archives.vendor: .*{name}.*expected one without spaces and commas"):
        collect_keys({"vendor": _archive(key=Key(file=str(path)))}, tmp_path)


@pytest.mark.machine
def test_a_pinned_key(tmp_path: Path, signer: OpenPgpKey, stranger: OpenPgpKey, served: tuple[Path, str]) -> None:
    directory, url = served
    signer.write_public(directory / "good.asc")
    stranger.write_public(directory / "stranger.asc")
    good = Key(url=f"{url}/good.asc", fingerprint=signer.fingerprint)
    assert collect_keys({"a": _archive(key=good)}, tmp_path) == {"a": tmp_path / f"{signer.fingerprint}.gpg"}
    other = Key(url=f"{url}/stranger.asc", fingerprint="0" * 40)
    with pytest.raises(TrustError, match=stranger.fingerprint):
        collect_keys({"a": _archive(key=other)}, tmp_path)


def test_the_board_gets_its_archives_and_their_keys(tmp_path: Path) -> None:
    rootfs, keys = tmp_path / "rootfs", tmp_path / "keys"
    for path in ("etc/apt/sources.list", "etc/apt/sources.list.d/0000debian.sources", SYSTEM.lstrip("/")):
        (rootfs / path).parent.mkdir(parents=True, exist_ok=True)
        (rootfs / path).write_text("old\n")
    keys.mkdir()
    (keys / "v.asc").write_text("armoured\n")
    (keys / "ABCD.gpg").write_text("binary\n")
    (keys / "ABCD.gpg").chmod(0o600)
    archives = {"debian": _archive(), "vendor": _archive(), "docker": _archive()}
    found = {"debian": Path(SYSTEM), "vendor": keys / "v.asc", "docker": keys / "ABCD.gpg"}
    install_sources(rootfs, archives, found, "Package: *\nPin: release o=a\nPin-Priority: 700\n")
    lists = rootfs / "etc/apt/sources.list.d"
    assert sorted(path.name for path in lists.iterdir()) == ["debian.sources", "docker.sources", "vendor.sources"]
    assert not (rootfs / "etc/apt/sources.list").exists()
    assert f"Signed-By: {SYSTEM}\n" in (lists / "debian.sources").read_text()
    assert "Signed-By: /etc/apt/keyrings/vendor.asc\n" in (lists / "vendor.sources").read_text()
    assert "Signed-By: /etc/apt/keyrings/docker.gpg\n" in (lists / "docker.sources").read_text()
    on_board = rootfs / "etc/apt/keyrings"
    assert {path.name: path.read_text() for path in on_board.iterdir()} == {
        "vendor.asc": "armoured\n",
        "docker.gpg": "binary\n",
    }
    assert {path.stat().st_mode & 0o777 for path in on_board.iterdir()} == {0o644}


def test_a_system_key_that_the_board_lacks_is_copied(tmp_path: Path) -> None:
    if not Path(SYSTEM).is_file():
        pytest.skip(f"no {SYSTEM} here")
    install_sources(tmp_path, {"debian": _archive()}, {"debian": Path(SYSTEM)}, "")
    text = (tmp_path / "etc/apt/sources.list.d/debian.sources").read_text()
    assert "Signed-By: /etc/apt/keyrings/debian.gpg\n" in text
    assert (tmp_path / "etc/apt/keyrings/debian.gpg").read_bytes() == Path(SYSTEM).read_bytes()
