# SPDX-License-Identifier: MIT
"""Keys of archives: fetched once, as a binary keyring, and only the one that is named."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import TrustError
from builder.net.download import fetch, fetch_key
from tests.support.download_server import CONTENT, Server, names

pytestmark = pytest.mark.usefixtures("quick_retries")


class Keys:
    """Two fresh keys, made once."""

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(mode=0o700)
        for name in ("one", "two"):
            self._gpg("--passphrase", "", "--quick-generate-key", f"{name}@example.org", "ed25519", "sign", "never")
        self._gpg(
            "--faked-system-time", "20200101T000000", "--passphrase", "", "--quick-generate-key", "old@example.org",
            "ed25519", "sign", "1d",
        )  # fmt: skip
        listed = self._gpg("--with-colons", "--list-keys").decode().splitlines()
        self.one, self.two, self.old = (line.split(":")[9] for line in listed if line.startswith("fpr:"))

    def export(self, *names: str, options: tuple[str, ...] = ()) -> bytes:
        return self._gpg(*options, "--export", *names)

    def secret(self, name: str) -> bytes:
        return self._gpg("--passphrase", "", "--pinentry-mode", "loopback", "--export-secret-keys", name)

    def end(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)

    def _gpg(self, *words: str) -> bytes:
        argv = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", *words]
        return subprocess.run(argv, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    # A path of its own: the agent's socket must be shorter than 108 bytes, and pytest's directories are long.
    home = Path(f"/tmp/bw-keys-{os.getpid()}")
    made = Keys(home)
    yield made
    made.end()
    subprocess.run(["rm", "-r", home], check=True)


@pytest.mark.parametrize("armour", [(), ("--armor",)])
def test_a_key_is_fetched_once_as_binary_keyring(
    server: Server, tmp_path: Path, keys: Keys, armour: tuple[str, ...]
) -> None:
    server.key = keys.export("one@example.org", options=armour)
    spaced = " ".join(keys.one[i : i + 4] for i in range(0, 40, 4)).lower()
    for _ in range(2):
        path = fetch_key(server.url("key"), spaced, tmp_path)
    assert path == tmp_path / f"{keys.one}.gpg"
    assert path.read_bytes() == keys.export("one@example.org")
    assert path.stat().st_mode & 0o444 == 0o444, "APT's sandbox user reads it"
    assert server.asked["key"] == 1
    assert names(tmp_path) == [path.name]


def test_a_damaged_key_of_the_cache_is_fetched_again(server: Server, tmp_path: Path, keys: Keys) -> None:
    server.key = keys.export("one@example.org")
    (tmp_path / f"{keys.one}.gpg").write_bytes(keys.export("two@example.org"))
    assert fetch_key(server.url("key"), keys.one, tmp_path).read_bytes() == server.key


@pytest.mark.parametrize("armour", [(), ("--armor",)])
def test_other_keys_are_refused(server: Server, tmp_path: Path, keys: Keys, armour: tuple[str, ...]) -> None:
    cases = {
        "another": (keys.export("two@example.org", options=armour), keys.two),
        "both": (keys.export(options=armour), keys.two),
        "both in turn": (b"".join(keys.export(f"{n}@example.org", options=armour) for n in ("one", "two")), keys.two),
        "none": (b"<html>captive portal</html>" * 50, "no OpenPGP public key"),
        "broken": (keys.export("one@example.org", options=armour)[:40], "no OpenPGP public key"),
        "secret": (keys.secret("one@example.org"), "the secret key"),
    }
    for name, (content, message) in cases.items():
        server.key = content
        with pytest.raises(TrustError) as caught:
            fetch_key(server.url("key"), keys.one, tmp_path)
        assert message in caught.value.message, name
        assert keys.one in caught.value.message, name
    assert names(tmp_path) == []


def test_an_expired_key_is_refused(server: Server, tmp_path: Path, keys: Keys) -> None:
    server.key = keys.export("old@example.org")
    with pytest.raises(TrustError, match="the expired key"):
        fetch_key(server.url("key"), keys.old, tmp_path)


def test_a_compressed_page_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT, mtime=0)
    server.key = packed
    path = fetch(server.url("key"), sha256=hashlib.sha256(packed).hexdigest(), cache=tmp_path)
    assert path.read_bytes() == packed
