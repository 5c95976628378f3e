# SPDX-License-Identifier: MIT
"""What mmdebstrap meets: real archives that cannot be trusted or reached, and the words of APT that say so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import BoardwrightError, DownloadError, RecipeError, SpaceError, ToolError, TrustError
from builder.plan.model import Plan
from builder.rootfs.apt.errors import explain
from builder.system.process import Result
from builder.system.workspace import open_workspace
from tests.conftest import ROOT
from tests.support.archive import DAY_S, Archive
from tests.support.keys import OpenPgpKey
from tests.support.rootfs_boards import plan_board, write_tiny
from tests.support.rootfs_system import take_rootfs

AT = "http://127.0.0.1:8000/a"
UNTRUSTED = {
    # APT 2.6 of bookworm, with gpgv
    "2.6 no key": f"W: GPG error: {AT} trixie InRelease: The following signatures couldn't be verified because the "
    "public key is not available: NO_PUBKEY 391F623C073D9D4C",
    "2.6 bad": f"W: GPG error: {AT} trixie InRelease: The following signatures were invalid: BADSIG 41EB403929D99E84 "
    "good <good@localhost>",
    "2.6 expired key": f"W: GPG error: {AT} trixie InRelease: The following signatures were invalid: EXPKEYSIG "
    "41EB403929D99E84 good <good@localhost>",
    "unsigned": f"E: The repository '{AT} trixie InRelease' is not signed.",
    "no longer signed": f"E: The repository '{AT} trixie InRelease' is no longer signed.",
    "expired": f"E: Release file for {AT}/dists/trixie/InRelease is expired (invalid since 24h 0min 0s). Updates for "
    "this repository will not be applied.",
    "early": f"E: Release file for {AT}/dists/trixie/InRelease is not valid yet (invalid for another 23h 59min 50s). "
    "Updates for this repository will not be applied.",
    "mismatch": f"E: Failed to fetch {AT}/pool/tool_1.0_all.deb  Hash Sum mismatch",
    "size": f"E: Failed to fetch {AT}/pool/tool_1.0_all.deb  File has unexpected size (650 != 648). "
    "Mirror sync in progress? [IP: 127.0.0.1 8000]",
    # APT 3.0 of trixie, with sqv
    "3.0 no key": f"W: OpenPGP signature verification failed: {AT} trixie InRelease: Sub-process /usr/bin/sqv returned "
    "an error code (1), error message is: Missing key 4C0056C65CEEA57D4B8480525A65D30F93AE7420, which is needed to "
    "verify signature.",
    "3.0 bad": f"W: OpenPGP signature verification failed: {AT} trixie InRelease: Sub-process /usr/bin/sqv returned an "
    "error code (1), error message is: Verifying signature:            Message has been manipulated",
}
UNREACHABLE = {
    "refused": f"E: Failed to fetch {AT}/dists/trixie/InRelease  Could not connect to 127.0.0.1:8000 (127.0.0.1). - "
    "connect (111: Connection refused)",
    "name": "E: Failed to fetch http://nosuch.invalid/dists/trixie/InRelease  Could not resolve 'nosuch.invalid'",
    "silent": "E: Failed to fetch http://10.0.0.1/dists/trixie/InRelease  Unable to connect to 10.0.0.1:80:",
    "missing": f"E: Failed to fetch {AT}/pool/tool_1.0_all.deb  404  File not found [IP: 127.0.0.1 8000]",
    "archive gone": f"E: The repository '{AT} trixie Release' no longer has a Release file.",
    "no archive": f"E: The repository '{AT} trixie Release' does not have a Release file.",
}
UNKNOWN = {
    "E: Unable to locate package nosuch\nE: Unable to locate package libother++-dev": "libother++-dev, nosuch",
    "E: Package 'firmware-brcm' has no installation candidate": "firmware-brcm",
    "E: Package firmware-brcm has no installation candidate": "firmware-brcm",
    "E: Version '5:28.5.1-1~debian.13~trixie' for 'docker-ce' was not found": "docker-ce=5:28.5.1-1~debian.13~trixie",
    "E: Release 'trixie-backports' for 'linux-image-arm64' was not found": "linux-image-arm64/trixie-backports",
}


def _explain(plan: Plan, output: str) -> BoardwrightError:
    noise = "I: running apt-get update...\ndone\n"
    result = Result(("mmdebstrap",), 25, "", f"{noise}{output}\nE: mmdebstrap failed to run\n")
    return explain(result, plan, Path("/room/build.log"), name="mmdebstrap")


@pytest.mark.parametrize("output", UNTRUSTED.values(), ids=UNTRUSTED.keys())
def test_what_is_not_to_be_trusted(plan: Plan, output: str) -> None:
    error = _explain(plan, output)
    assert (type(error), output in error.message) == (TrustError, True)
    assert "/room/build.log" in error.hint
    assert "apt-get update" not in error.message


@pytest.mark.parametrize("output", UNREACHABLE.values(), ids=UNREACHABLE.keys())
def test_what_cannot_be_reached(plan: Plan, output: str) -> None:
    error = _explain(plan, output)
    assert (type(error), output in error.message) == (DownloadError, True)
    assert "/room/build.log" in error.hint


@pytest.mark.parametrize(("output", "names"), UNKNOWN.items())
def test_what_no_archive_has(plan: Plan, output: str, names: str) -> None:
    error = _explain(plan, output)
    suites = "trixie, trixie-security, trixie-updates"
    short = re.sub(r" \(asked for by [^)]+\)", "", error.message)
    assert (type(error), short) == (RecipeError, f"boards/rpi: no package {names} for arm64 in {suites}")
    assert error.hint


@pytest.mark.parametrize(
    ("package", "key"),
    [
        ("linux-image-arm64", "`kernel.packages`"),
        ("docker-cli", "`docker: source: debian`"),
        ("raspi-firmware", "`packages.firmware`"),
        ("libsomething", "another package"),
    ],
)
def test_which_key_asks_for_it(plan: Plan, package: str, key: str) -> None:
    error = _explain(plan, f"E: Unable to locate package {package}")
    assert f"no package {package} (asked for by {key}) for" in error.message


def test_trust_comes_first(plan: Plan) -> None:
    """A wrong signature also makes packages unknown and indices unreachable."""
    everything = "\n".join(["E: Unable to locate package a", *UNREACHABLE.values(), UNTRUSTED["unsigned"]])
    assert type(_explain(plan, everything)) is TrustError


def test_a_story_is_kept_short(plan: Plan) -> None:
    lines = [f"E: Failed to fetch {AT}/{number}  404  Not Found" for number in range(100) for _ in range(2)]
    assert _explain(plan, "\n".join(lines)).message.count("\n") == 5


def test_anything_else_is_the_tools(plan: Plan) -> None:
    error = _explain(plan, "dpkg: error processing package tool (--configure):\n post-installation script failed")
    assert type(error) is ToolError
    assert "mmdebstrap ended with exit code 25" in error.message
    assert "post-installation script failed" in error.message


def test_a_full_disk(plan: Plan) -> None:
    output = "dpkg-deb: error: failed to write: No space left on device"
    assert type(_explain(plan, output)) is SpaceError


# real archives on loopback

Refuse = Callable[[Archive], BoardwrightError]


@pytest.fixture
def refuse(tmp_path: Path, signer: OpenPgpKey) -> Refuse:
    """Build from an archive as the system's own until it is refused, and look that nothing is left."""

    def call(archive: Archive) -> BoardwrightError:
        plan, state = plan_from(tmp_path, archive, signer), tmp_path / "state"
        with pytest.raises(BoardwrightError) as caught, open_workspace(state, "board") as workspace:
            take_rootfs(plan, workspace, cache=tmp_path / "cache")
        assert sorted(path.name for path in (state / "rooms/board").iterdir()) == ["build.log"]
        assert list((state / "journals").iterdir()) == []
        return caught.value

    return call


def plan_from(directory: Path, archive: Archive, signer: OpenPgpKey) -> Plan:
    signer.write_public(directory / "boards/tiny/key.asc")
    write_tiny(directory / "boards", url=archive.url, key="key.asc")
    return plan_board(directory / "boards", "board")


@pytest.fixture
def archive(make_archive: Callable[[], Archive]) -> Archive:
    """An archive with all that mmdebstrap takes before it runs anything."""
    one = make_archive()
    one.add("base-files", fields="Essential: yes\n")
    one.add("apt")
    one.add("tiny-kernel")
    return one


@pytest.mark.machine
def test_a_good_archive_is_not_refused(archive: Archive, refuse: Refuse) -> None:
    """Its packages are unpacked, and only then is missed what a system needs: the cases below fail for their reason."""
    archive.publish()
    error = refuse(archive)
    assert type(error) is ToolError
    assert "installing essential packages" in error.message


@pytest.mark.machine
def test_another_key(archive: Archive, refuse: Refuse, stranger: OpenPgpKey) -> None:
    archive.publish(signer=stranger)
    error = refuse(archive)
    assert (type(error), stranger.fingerprint[-16:] in error.message) == (TrustError, True)


@pytest.mark.machine
def test_an_unsigned_archive(archive: Archive, refuse: Refuse) -> None:
    archive.publish(signed=False)
    error = refuse(archive)
    assert (type(error), "is not signed" in error.message) == (TrustError, True)


@pytest.mark.machine
def test_an_altered_release(archive: Archive, refuse: Refuse) -> None:
    archive.publish()
    path = archive.directory / "dists/trixie/InRelease"
    path.write_text(path.read_text().replace("Origin: Test", "Origin: Tent"))
    error = refuse(archive)
    assert (type(error), "BADSIG" in error.message or "manipulated" in error.message) == (TrustError, True)


@pytest.mark.machine
@pytest.mark.parametrize(
    ("ages_s", "words"), [((-10 * DAY_S, -DAY_S), "expired"), ((DAY_S, 2 * DAY_S), "not valid yet")]
)
def test_a_release_of_another_time(archive: Archive, refuse: Refuse, ages_s: tuple[float, float], words: str) -> None:
    archive.publish(ages_s=ages_s)
    error = refuse(archive)
    assert (type(error), f"is {words} (invalid" in error.message) == (TrustError, True)


def _alter(path: Path, *, longer: bool = False) -> None:
    content = path.read_bytes()
    path.write_bytes(content + b"x" if longer else content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.machine
@pytest.mark.parametrize("longer", [False, True])
def test_an_altered_package(archive: Archive, refuse: Refuse, longer: bool) -> None:
    archive.publish()
    _alter(archive.debs[0], longer=longer)
    error = refuse(archive)
    assert (type(error), archive.debs[0].name in error.message) == (TrustError, True)


@pytest.mark.machine
def test_an_altered_index(archive: Archive, refuse: Refuse) -> None:
    archive.publish()
    for name in ("Packages", "Packages.gz"):
        _alter(next(archive.directory.rglob(name)))
    error = refuse(archive)
    assert (type(error), "Hash Sum mismatch" in error.message) == (TrustError, True)


@pytest.mark.machine
def test_a_missing_package_file(archive: Archive, refuse: Refuse) -> None:
    archive.publish()
    archive.debs[0].unlink()
    error = refuse(archive)
    assert (type(error), archive.debs[0].name in error.message) == (DownloadError, True)


@pytest.mark.machine
def test_no_archive_there(archive: Archive, refuse: Refuse) -> None:
    error = refuse(archive)
    assert (type(error), "does not have a Release file" in error.message) == (DownloadError, True)


@pytest.mark.machine
def test_no_server_there(tmp_path: Path, refuse: Refuse, signer: OpenPgpKey) -> None:
    error = refuse(Archive(tmp_path / "none", "http://127.0.0.1:9/debian", signer))
    assert (type(error), "Connection refused" in error.message) == (DownloadError, True)


LAX = """\
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::AllowInsecureRepositories "true";
Acquire::AllowWeakRepositories "true";
APT::Get::AllowUnauthenticated "true";
"""


@pytest.mark.machine
@pytest.mark.parametrize("case", ["expired", "early", "unsigned", "stranger"])
def test_a_careless_configuration_of_this_machine_does_not_count(
    tmp_path: Path, archive: Archive, signer: OpenPgpKey, stranger: OpenPgpKey, case: str
) -> None:
    """APT's configuration is laid over this machine's in a mount namespace: no other process sees it."""
    ages = {"expired": (-10 * DAY_S, -DAY_S), "early": (DAY_S, 2 * DAY_S)}.get(case, (-3600, DAY_S))
    archive.publish(ages_s=ages, signed=case != "unsigned", signer=stranger if case == "stranger" else signer)
    plan_from(tmp_path, archive, signer)
    lax = tmp_path / "apt.conf.d"
    lax.mkdir()
    (lax / "99lax").write_text(LAX)
    script = 'mount --bind "$1" /etc/apt/apt.conf.d && shift && apt-config dump >"$1" && shift && exec "$@"'
    build = ["build", "board", "--engine", "local", "--json", "--boards", str(tmp_path / "boards")]
    places = ["--version", "1", "--epoch", "1790000000", "--state", f"{tmp_path}/state", "--output", f"{tmp_path}/dist"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "-", lax, tmp_path / "seen", *(sys.executable, "-m", "builder"),
         *build, *places],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 'AllowUnauthenticated "true"' in (tmp_path / "seen").read_text()
    error = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, error["data"]["kind"]) == (6, "trust"), error
