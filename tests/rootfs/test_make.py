# SPDX-License-Identifier: MIT
"""The whole stage on one small real system."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builder.cache.store import Store
from builder.rootfs.stored_tree import find_stored_tree
from builder.system.paths import resolve_inside
from builder.system.process import run
from tests.support.rootfs_boards import EPOCH
from tests.support.rootfs_system import KEYRING, MadeRootfs

pytestmark = [pytest.mark.machine, pytest.mark.slow]


def test_packages_come_from_every_source(made: MadeRootfs) -> None:
    versions = {package.name: package.version for package in made.rootfs.packages}
    assert versions["docker-ce"] == versions["docker-ce-cli"] == "5:1.0"  # asked for; the archive has a newer one
    assert {"containerd.io", "docker-buildx-plugin", "docker-compose-plugin"} <= set(versions)
    assert (versions["vendor-boot"], versions["pinned-tool"]) == ("1.0", "1.0")
    assert (versions["linux-tiny"], versions["extra"]) == ("6.99", "1.0")
    assert (made.text("/usr/share/pinned"), made.text("/usr/share/extra")) == ("pinned\n", "extra\n")


def test_the_kernel_is_configured_when_all_that_its_initrd_may_hold_is(made: MadeRootfs) -> None:
    seen = {line.split()[1]: line.split()[0] for line in made.text("/usr/share/kernel-saw").splitlines()}
    assert seen.pop("vendor-kernel") == "half-configured"
    assert {"vendor-boot", "docker-ce", "tzdata", "libc-bin"} <= set(seen)
    assert set(seen.values()) == {"installed"}


def test_the_image_keeps_its_archives_and_their_keys(made: MadeRootfs) -> None:
    lists = made.root / "etc/apt/sources.list.d"
    assert sorted(path.name for path in lists.iterdir()) == [
        *("debian.sources", "docker.sources", "pinned.sources", "vendor.sources")
    ]
    docker = made.text("/etc/apt/sources.list.d/docker.sources")
    assert f"URIs: {made.plan.recipe.docker.url}\nSuites: trixie\nComponents: stable\n" in docker
    assert "Signed-By: /etc/apt/keyrings/docker.asc\n" in docker
    keyrings = made.root / "etc/apt/keyrings"
    assert (keyrings / "docker.asc").read_bytes() == (made.boards / "board/keys/vendor.asc").read_bytes()
    assert (keyrings / "pinned.gpg").stat().st_size > 0
    assert f"Signed-By: {KEYRING}\n" in made.text("/etc/apt/sources.list.d/debian.sources")
    label = made.plan.recipe.archives["pinned"].url.rpartition("/")[2]
    pins = made.text("/etc/apt/preferences.d/boardwright")
    assert pins == f"Package: *\nPin: release o=Test,l={label},n=trixie\nPin-Priority: 700\n"


def test_the_boot_files_are_written_by_the_images_program(made: MadeRootfs) -> None:
    root = next(slot.partuuid for slot in made.plan.disk.slots if slot.mount == "/")
    assert made.text("/boot/extlinux/extlinux.conf") == (
        f"append root=root=PARTUUID={root} console=ttyS0\nSOURCE_DATE_EPOCH={EPOCH}\n"
    )
    assert made.text("/boot/vmlinuz-6.99") == "kernel\n"
    assert f"PARTUUID={root} / ext4" in made.text("/etc/fstab")
    assert made.text("/etc/initramfs-tools/conf.d/boardwright") == "FSTYPE=ext4\n"


def test_the_user_has_no_password(made: MadeRootfs) -> None:
    user = next(line.split(":") for line in made.text("/etc/passwd").splitlines() if line.startswith("pirate:"))
    assert user[4:] == ["Pirate", "/home/pirate", "/bin/bash"]
    assert (made.root / "home/pirate").stat().st_uid == int(user[2])
    passwords = {line.split(":")[0]: line.split(":")[1] for line in made.text("/etc/shadow").splitlines()}
    assert set(passwords.values()) <= {"!", "*", "!*"}
    assert passwords["pirate"] == "!"
    groups = {line.split(":")[0]: line.split(":")[3] for line in made.text("/etc/group").splitlines()}
    assert (groups["sudo"], groups["sailors"]) == ("pirate", "pirate")


def test_units(made: MadeRootfs) -> None:
    units = made.root / "etc/systemd/system"
    assert (units / "multi-user.target.wants/first.service").is_symlink()
    assert (units / "second.service").readlink() == Path("/dev/null")
    assert not (units / "multi-user.target.wants/third.service").is_symlink()


def test_what_the_board_lays_and_runs(made: MadeRootfs) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (made.root / "etc/sudoers.d").iterdir()}
    assert modes == {"own": 0o440, "boardwright-pirate": 0o440}
    assert made.text("/etc/made-by") == "root\n"
    assert (made.root / f"etc/made-{EPOCH}").exists()
    assert (made.root / "etc/localtime").readlink() == Path("../usr/share/zoneinfo/Europe/Berlin")
    assert resolve_inside(made.root, "/etc/localtime").is_file()


def test_programs_of_the_tree_see_nothing_of_who_builds(made: MadeRootfs) -> None:
    assert made.text("/usr/share/kernel-surroundings") == "localhost\nlocalhost\n0022\n/root dumb none\n"
    assert made.text("/etc/made-in") == "localhost\ntiny\n0022\n/root dumb /tmp\n"


def test_modes_do_not_depend_on_the_umask_of_who_builds(made: MadeRootfs) -> None:
    """The build of this module runs under umask 077."""
    paths = ("", "etc", "boot", "usr/share", "etc/apt", "etc/apt/keyrings", "etc/deep", "etc/deep/deeper")
    assert {path: oct((made.root / path).stat().st_mode & 0o777) for path in paths} == dict.fromkeys(paths, "0o755")
    assert (made.root / "etc/deep/deeper/file").stat().st_mode & 0o777 == 0o644
    assert (made.root / "etc/hosts").stat().st_mode & 0o777 == 0o644
    for name in made.kept.below:
        tree = made.state / "cache/layers" / name / "tree"
        assert (tree / "etc").stat().st_mode & 0o777 == 0o755


def test_a_script_has_the_resolvers_of_this_machine(made: MadeRootfs) -> None:
    assert made.text("/etc/made-with-resolver") == Path("/etc/resolv.conf").read_text()
    assert (made.root / "etc/resolv.conf").readlink() == Path("../run/systemd/resolve/stub-resolv.conf")


def test_one_tree_per_filesystem(made: MadeRootfs) -> None:
    assert set(made.rootfs.trees) == {"/", "/boot/firmware"}
    boot = made.rootfs.trees["/boot/firmware"]
    assert (boot / "os-release").read_text() == made.text("/etc/os-release")
    assert list((made.root / "boot/firmware").iterdir()) == []
    assert find_stored_tree(made.state / "rooms/board/rootfs") == made.kept


def test_what_is_the_boards_own_is_not_younger_than_the_plan(made: MadeRootfs) -> None:
    assert all(find_youngest(tree) <= EPOCH for tree in made.kept.directory.iterdir() if tree.is_dir())


def test_a_layer_is_as_old_as_its_packages(made: MadeRootfs) -> None:
    """Not as its build, nor as the plan: the same packages make the same layer on any day."""
    for name in made.kept.below:
        assert EPOCH < find_youngest(made.state / "cache/layers" / name / "tree") < made.started - 60


def find_youngest(tree: Path) -> float:
    return max(path.lstat().st_mtime for path in [tree, *tree.rglob("*")])


def test_nothing_of_the_build_is_left(made: MadeRootfs) -> None:
    archives = "var/cache/apt/archives"
    for directory in ("tmp", "var/tmp", "run", "dev", "proc", "sys", "var/lib/apt/lists", f"{archives}/partial"):
        assert list((made.root / directory).iterdir()) == [], directory
    assert made.text("/etc/machine-id") == ""
    assert {path.name for path in (made.root / archives).iterdir()} == {"lock", "partial"}
    assert list((made.root / "var/cache/apt").glob("*.bin")) == []
    assert run(["grep", "-rlF", str(made.state.parent), made.root], ok=(0, 1)).stdout == ""
    assert sorted(path.name for path in (made.state / "rooms/board").iterdir()) == ["build.log", "rootfs"]
    assert list((made.state / "journals").iterdir()) == []
    assert str(made.state) not in Path("/proc/self/mountinfo").read_text()


def test_every_package_is_in_the_store_by_its_digest(made: MadeRootfs) -> None:
    store = Store(made.state / "cache/store")
    names = {ref.facts["name"] for ref in store.refs()}
    assert names == {package.name for package in made.rootfs.packages} - {"linux-tiny", "extra"}
    assert all(hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256 for entry in store.entries())
    assert all(entry.path.stat().st_nlink == 1 for entry in store.entries())
