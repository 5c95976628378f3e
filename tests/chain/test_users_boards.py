# SPDX-License-Identifier: MIT
"""The boards of docs/users-boards.md are built as they stand there, and all specs are green.

Every second run, when no first boot has its turn, makes one of them; the whole run makes all. What a page cannot bring
is made here: a kernel of one's own, and an archive that asks for a password.
"""

from __future__ import annotations

import base64
import functools
import mmap
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.chain.conftest import Build
from tests.chain.test_boards import find_bridge_address
from tests.conftest import ROOT
from tests.support.archive import Archive, Quiet
from tests.support.http_server import running
from tests.support.keys import make_openpgp_key
from tests.support.selection import by_commit
from tests.support.upgrade import SUITES, find_url, read_entries, repack

pytestmark = [pytest.mark.boards, pytest.mark.engine, pytest.mark.machine, pytest.mark.slow]

PAGE = (ROOT / "docs/users-boards.md").read_text(encoding="utf-8")
FILE = re.compile(r"^`boards/(?P<board>[a-z0-9-]+)/(?P<path>[^`]+)`:\n\n```\w+\n(?P<text>.*?)^```$", re.M | re.S)
PASSWORD = "pieces-of-eight-4711"


def find_boards() -> dict[str, dict[str, str]]:
    """Return the files of each board of the page, by their paths in its directory."""
    boards: dict[str, dict[str, str]] = {}
    for found in FILE.finditer(PAGE):
        boards.setdefault(found["board"], {})[found["path"]] = found["text"]
    return boards


PAGE_BOARDS = find_boards()
ON_HARDWARE = {"older-rpi": {"board.yaml": PAGE_BOARDS["older"]["board.yaml"].replace("qemu-amd64", "rpi")}}
"""The page says that another board may stand after `extends`; an older suite has other packages for hardware."""
BOARDS = {**PAGE_BOARDS, **ON_HARDWARE}


def write_board(boards: Path, name: str) -> Path:
    """Write the files of a board as a user would, and return its directory."""
    directory = boards / name
    for path, text in BOARDS[name].items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(0o755 if text.startswith("#!") else 0o644)
    return directory


def make_kernel(deb: Path) -> None:
    """Make a kernel package as `make bindeb-pkg` does: one package, no links, hooks run by its own script."""
    deb.parent.mkdir(parents=True)
    release, url = _find_kernel()

    def become_own(tree: Path) -> None:
        for script in ("preinst", "prerm", "postrm", "md5sums"):
            (tree / "DEBIAN" / script).unlink(missing_ok=True)
        (tree / "DEBIAN/control").write_text(
            f"Package: linux-image-{release}\nVersion: 6.12-own\nArchitecture: amd64\n"
            "Maintainer: Anne <anne@example.org>\nDescription: Linux\n"
        )
        (tree / "DEBIAN/postinst").write_text(
            '#!/bin/sh\nset -e\nexport DEB_MAINT_PARAMS="$*" INITRD=Yes\n'
            f"run-parts --arg={release} --arg=/boot/vmlinuz-{release} /etc/kernel/postinst.d\n"
        )
        (tree / "DEBIAN/postinst").chmod(0o755)

    repack(url, deb, become_own)


def _find_kernel() -> tuple[str, str]:
    """Return release and address of the kernel that the archive has."""
    suite = SUITES[0]
    entries = {entry.partition("\n")[0]: entry for entry in read_entries(suite, "amd64")}
    found = re.search(r"^Depends: linux-image-(\S+)", entries["Package: linux-image-cloud-amd64"], re.M)
    assert found
    return found[1], find_url(suite, entries[f"Package: linux-image-{found[1]}"])


class Guarded(Quiet):
    """Answers who knows the password."""

    wanted = "Basic " + base64.b64encode(f"anne:{PASSWORD}".encode()).decode()

    def do_GET(self) -> None:
        if self.headers["Authorization"] != self.wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()


@contextmanager
def guarded_archive(place: Path) -> Iterator[Archive]:
    """Serve an archive with the package harbour-master where builds reach it."""
    address = find_bridge_address()
    handler = functools.partial(Guarded, directory=str(place))
    with make_openpgp_key("harbour") as signer, running(ThreadingHTTPServer((address, 0), handler)) as url:
        archive = Archive(place, url, signer)
        archive.add("harbour-master", files={"/usr/bin/harbour-master": "#!/bin/sh\nexec true\n"})
        archive.publish(suite="stable")
        yield archive


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "boards", tmp_path / "boards")
    return tmp_path / "boards"


def test_there_are_ten() -> None:
    assert len(PAGE_BOARDS) == 10
    assert all("board.yaml" in files for files in BOARDS.values())
    assert "extends: rpi\n" in BOARDS["older-rpi"]["board.yaml"]


@pytest.mark.parametrize("board", by_commit(BOARDS, turn=1, of=2))
def test_a_board_of_the_page_is_green(
    board: str, boards: Path, build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write_board(boards, board)
    with ExitStack() as stack:
        if board == "own-kernel":
            make_kernel(directory / "debs/linux-image-own.deb")
        if board == "private":
            archive = stack.enter_context(guarded_archive(tmp_path / "archive"))
            archive.signer.write_public(directory / "harbour.asc")
            text = (directory / "board.yaml").read_text().replace("https://packages.example.org/debian", archive.url)
            (directory / "board.yaml").write_text(text.replace("harbour.gpg", "harbour.asc"))
            (tmp_path / "auth").write_text(f"machine {archive.url} login anne password {PASSWORD}\n")
            monkeypatch.setenv("BOARDWRIGHT_APT_AUTH", str(tmp_path / "auth"))
        built = build(board, "--boards", boards, "--compress", "none")
    if board == "private":
        assert [path for path in built.artefacts if contains(path, PASSWORD)] == []
        assert PASSWORD not in built.output
    built.file(".img").unlink()


def contains(file: Path, word: str) -> bool:
    """Say whether a file, which may be an image, has a word anywhere."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word.encode()) >= 0


def test_a_password_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(5000) + PASSWORD.encode())
    assert contains(tmp_path / "file", PASSWORD)
    assert not contains(tmp_path / "file", "another")
