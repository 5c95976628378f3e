# SPDX-License-Identifier: MIT
"""What is taken out of a tree, what stays, and that nothing of this machine is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.recipe.written_paths import EMPTIED
from builder.rootfs.clean import clamp_times, clean_tree, remove_compiled
from tests.support.rootfs_boards import EPOCH

GONE = (
    *("etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_ed25519_key.pub", "var/lib/dbus/machine-id"),
    *("var/lib/systemd/random-seed", "var/lib/systemd/credential.secret", "boot/efi/loader/random-seed"),
    *("var/lib/apt/lists/deb.debian.org_Packages", "var/lib/apt/lists/partial/x", "var/cache/apt/pkgcache.bin"),
    *("var/cache/apt/archives/a_1_amd64.deb", "var/cache/debconf/config.dat-old", "var/lib/dpkg/status-old"),
    *("var/lib/apt/extended_states.bak", "etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"),
    *("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-", "etc/.pwd.lock"),
    *("var/cache/ldconfig/aux-cache", "var/log/dpkg.log", "var/log/apt/term.log", "tmp/x", "tmp/.hidden/y"),
    *("var/tmp/x", "run/lock/x", "root/.cache/pip", "etc/.resolv.conf.systemd-resolved.bak"),
)
KEPT = (
    *("etc/ssh/sshd_config", "etc/passwd", "etc/shadow", "var/lib/dpkg/status", "var/lib/apt/extended_states"),
    *("var/cache/apt/archives/lock", "etc/apt/apt.conf.d/01autoremove", "var/log/README", "root/.bashrc"),
    "boot/efi/loader/loader.conf",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path in (*GONE, *KEPT, "etc/machine-id", "etc/resolv.conf"):
        target = tmp_path / "rootfs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("of the build\n")
    (tmp_path / "rootfs/boot/firmware").symlink_to("efi")  # What is below is found twice.
    return tmp_path / "rootfs"


def test_traces_go_and_the_rest_stays(tree: Path) -> None:
    clean_tree(tree)
    assert [path for path in GONE if (tree / path).exists()] == []
    assert [path for path in KEPT if (tree / path).read_text() != "of the build\n"] == []
    for directory in ("tmp", "var/tmp", "run", "var/lib/apt/lists", "var/log/apt", "etc/ssh"):
        assert (tree / directory).is_dir()


def test_every_pattern_is_met_by_this_test(tree: Path) -> None:
    assert [pattern for pattern in EMPTIED if not list(tree.glob(pattern))] == []


def test_machine_id_is_made_at_first_boot(tree: Path) -> None:
    (tree / "etc/machine-id").chmod(0o400)
    clean_tree(tree)
    machine_id = tree / "etc/machine-id"
    assert (machine_id.read_bytes(), machine_id.stat().st_mode & 0o777) == (b"", 0o444)


def test_the_resolver_is_systemds(tree: Path) -> None:
    clean_tree(tree)
    assert (tree / "etc/resolv.conf").readlink() == Path("../run/systemd/resolve/stub-resolv.conf")


def test_twice_is_as_once(tree: Path) -> None:
    clean_tree(tree)
    before = sorted(tree.rglob("*"))
    clean_tree(tree)
    assert sorted(tree.rglob("*")) == before


def test_an_empty_tree(tmp_path: Path) -> None:
    clean_tree(tmp_path)
    assert sorted(path.name for path in (tmp_path / "etc").iterdir()) == ["machine-id", "resolv.conf"]


def test_links_do_not_lead_to_this_machine(tmp_path: Path, tree: Path) -> None:
    """A tree's /var/tmp -> /tmp means its own /tmp; what its links mean out here is not touched."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").write_text("mine\n")
    for path in ("var/tmp", "var/log/apt", "run"):
        for name in (tree / path).iterdir():
            name.rename(tmp_path / f"aside-{path.replace('/', '-')}-{name.name}")
        (tree / path).rmdir()
        (tree / path).symlink_to(mine)
    (tree / "tmp/link").symlink_to(mine)
    (tree / "etc/machine-id").unlink()
    (tree / "etc/machine-id").symlink_to(mine / "file")
    (tree / "etc/resolv.conf").unlink()
    (tree / "etc/resolv.conf").symlink_to(mine / "file")
    clean_tree(tree)
    assert (mine / "file").read_text() == "mine\n"
    assert list(mine.iterdir()) == [mine / "file"]
    assert list((tree / "tmp").iterdir()) == []


def test_a_link_inside_of_the_tree_is_cleaned_where_it_leads(tree: Path) -> None:
    (tree / "data/ssh").mkdir(parents=True)
    (tree / "data/ssh/ssh_host_rsa_key").touch()
    for name in (tree / "etc/ssh").iterdir():
        name.unlink()
    (tree / "etc/ssh").rmdir()
    (tree / "etc/ssh").symlink_to("/data/ssh")
    clean_tree(tree)
    assert list((tree / "data/ssh").iterdir()) == []


def test_times(tmp_path: Path) -> None:
    """What is younger than the epoch becomes as old, links and directories too; what is older keeps its time."""
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tmp_path / "outside").touch()
    outside = (tmp_path / "outside").stat().st_mtime_ns
    (tree / "sub/young").touch()
    (tree / "sub/link").symlink_to(tmp_path / "outside")
    (tree / "dangling").symlink_to("nowhere")
    (tree / "loop").symlink_to("loop")
    os.mkfifo(tree / "pipe")
    (tree / "old").touch()
    os.utime(tree / "old", (EPOCH - 5, EPOCH - 5))
    (tree / "just").touch()
    os.utime(tree / "just", ns=(EPOCH * 10**9 + 1, EPOCH * 10**9 + 1))
    clamp_times(tree, EPOCH)
    times = {path.name: path.lstat().st_mtime_ns for path in [tree, *tree.rglob("*")]}
    assert times.pop("old") == (EPOCH - 5) * 10**9
    assert set(times) == {"tree", "sub", "young", "link", "dangling", "loop", "pipe", "just"}
    assert set(times.values()) == {EPOCH * 10**9}
    assert (tmp_path / "outside").stat().st_mtime_ns == outside


def test_compiled_python_of_a_script_is_removed(tmp_path: Path) -> None:
    """But what was there before, and what is not the system's."""
    modules = tmp_path / "usr/lib/python3/dist-packages/__pycache__"
    own = tmp_path / "usr/local/lib/python3.13/dist-packages/__pycache__"
    for directory in (modules, own):
        directory.mkdir(parents=True)
        for name in ("known.cpython-313.pyc", "new.cpython-313.pyc"):
            (directory / name).touch()
    elsewhere = tmp_path.with_name("elsewhere") / "python3"
    elsewhere.mkdir(parents=True)
    (elsewhere / "x.pyc").touch()
    (tmp_path / "usr/lib/python3.13").symlink_to(elsewhere)
    remove_compiled(tmp_path, {"/usr/lib/python3/dist-packages/__pycache__/known.cpython-313.pyc": ""})
    assert [path.name for path in modules.iterdir()] == ["known.cpython-313.pyc"]
    assert len(list(own.iterdir())) == 2
    assert (elsewhere / "x.pyc").exists()
