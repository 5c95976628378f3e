# SPDX-License-Identifier: MIT
"""Plans: the same for the same input, and different where it counts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.load import list_boards, load_board
from tests.support.recipes import GOOD, write_board

REPOSITORY = Path(__file__).parents[2]
GPT = """\
extends: good
table:
  type: gpt
  partitions:
    - {name: esp, filesystem: fat32, size: 64MiB, mount: /boot/efi, label: ESP, flags: [esp]}
    - {name: share, filesystem: fat32, size: 64MiB, start: 100MiB, mount: /share, label: SHARE, flags: [boot]}
    - {name: root, filesystem: ext4, size: 1GiB, mount: /, label: root, margin: 1GiB}
boot: {method: efi}
"""


def _plan(boards: Path, name: str = "good", *, version: str = "1.0", epoch: int = 1_700_000_000) -> Plan:
    return make_plan(load_board(boards, name), version=version, epoch=epoch)


def _keys(plan: Plan) -> list[str]:
    return [step.key for step in plan.steps]


@pytest.mark.parametrize("name", list_boards(REPOSITORY / "boards"))
def test_boards_of_this_repository_plan(name: str) -> None:
    plan = _plan(REPOSITORY / "boards", name)
    assert plan.image_name == f"boardwright-{name}-1.0.img"
    assert [step.name for step in plan.steps] == ["base", "packages", "system", "image", "package"]
    docker = {"docker.io", "docker-compose"} if plan.recipe.docker.source == "debian" else set()
    assert {"cloud-init", *docker} <= set(plan.packages.names)


def test_mbr(boards: Path) -> None:
    disk = _plan(boards).disk
    boot, root = disk.slots
    assert (disk.type, len(disk.id), int(disk.id, 16) > 0) == ("mbr", 8, True)
    assert (boot.number, boot.start_sector, boot.sectors, boot.type_code, boot.bootable) == (1, 2048, 131072, "c", True)
    assert (root.number, root.start_sector, root.sectors, root.type_code, root.bootable) == (
        2,
        133120,
        None,
        "83",
        False,
    )
    assert (boot.partuuid, root.partuuid) == (f"{disk.id}-01", f"{disk.id}-02")
    assert (len(boot.fs_id), len(root.fs_id), root.margin_bytes) == (8, 36, 256 * 1024 * 1024)


def test_gpt(boards: Path) -> None:
    write_board(boards, "uefi", GPT)
    esp, share, root = _plan(boards, "uefi").disk.slots
    assert esp.type_code == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
    assert share.type_code == "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
    assert root.type_code == "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
    assert [slot.start_sector for slot in (esp, share, root)] == [2048, 204800, 335872]
    assert (share.bootable, root.sectors) == (True, 2097152)
    ids = [_plan(boards, "uefi").disk.id, esp.partuuid, share.partuuid, root.partuuid, root.fs_id]
    assert {len(one) for one in ids} == {36}
    assert len(set(ids)) == 5


def test_an_esp_in_an_mbr(boards: Path) -> None:
    write_board(boards, "esp", GPT.replace("type: gpt", "type: mbr"))
    assert _plan(boards, "esp").disk.slots[0].type_code == "ef"


def test_blobs(boards: Path) -> None:
    directory = write_board(
        boards,
        "blobs",
        f"""\
        extends: good
        blobs:
          bl1: {{file: bl1.bin, offset: 0s, size: 8KiB, holes: [{{offset: "440", size: "72"}}]}}
          spl: {{rootfs: usr/lib/spl.bin, offset: 8KiB, size: 24KiB}}
          uboot: {{url: https://x/y, sha256: {"a" * 64}, offset: 40KiB, size: 512KiB}}
        """,
    )
    (directory / "bl1.bin").write_bytes(b"x")
    bl1, spl, uboot = _plan(boards, "blobs").disk.blobs
    assert (bl1.source, bl1.location, bl1.holes) == ("file", str(directory / "bl1.bin"), ((440, 512),))
    assert (spl.source, spl.location, spl.offset_bytes, spl.limit_bytes) == ("rootfs", "usr/lib/spl.bin", 8192, 24576)
    assert (uboot.source, uboot.location, uboot.sha256) == ("url", "https://x/y", "a" * 64)


def test_kernel_command_line(boards: Path) -> None:
    write_board(boards, "low", "extends: good\nboot:\n  cmdline:\n    folded: |\n      one\n        two\n")
    plan = _plan(boards, "low")
    expected = f"root=PARTUUID={plan.disk.id}-02 console=tty0 console=ttyS1,115200 rw rootwait one two"
    assert plan.kernel_cmdline == expected


def test_packages_are_sorted_and_said_once(boards: Path) -> None:
    write_board(boards, "low", "extends: good\ndocker: {source: none}\npackages:\n  more: [zstd, sudo, apt]\n")
    assert _plan(boards, "low").packages.names == ("apt", "linux-image-arm64", "sudo", "systemd-sysv", "zstd")
    assert {"docker.io", "docker-cli", "containerd", "runc", "iptables"} <= set(_plan(boards).packages.names)


def test_debs(boards: Path) -> None:
    directory = write_board(
        boards,
        "low",
        f"extends: good\nkernel:\n  debs:\n    - file: a.deb\n    - {{url: https://x/b.deb, sha256: {'b' * 64}}}\n",
    )
    (directory / "a.deb").touch()
    debs = _plan(boards, "low").packages.debs
    assert [(deb.location, deb.sha256) for deb in debs] == [
        (str(directory / "a.deb"), None),
        ("https://x/b.deb", "b" * 64),
    ]


def test_docker_from_its_own_archive(boards: Path) -> None:
    version = "5:28.5.1-1~debian.13~trixie"
    write_board(boards, "low", f'extends: good\ndocker: {{source: docker, channel: test, version: "{version}"}}\n')
    plan = _plan(boards, "low")
    asked = {f"docker-ce={version}", f"docker-ce-cli={version}", "containerd.io", "docker-buildx-plugin"}
    assert asked <= set(plan.packages.names)
    assert "docker.io" not in plan.packages.names
    archive = plan.recipe.archives["docker"]
    assert (archive.suites, archive.components) == (["trixie"], ["test"])
    assert archive.key.fingerprint == "9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88"
    write_board(boards, "newest", "extends: good\ndocker: {source: docker}\n")
    assert "docker-ce" in _plan(boards, "newest").packages.names


def test_same_input_same_plan_in_another_directory(boards: Path, tmp_path: Path) -> None:
    directory = write_board(boards, "low", "extends: good\narchives: {debian: {key: {file: key.asc}}}\n")
    (directory / "key.asc").write_text("key")
    (directory / "files").mkdir()
    (directory / "files/a").write_text("a")
    shutil.copytree(boards, tmp_path / "elsewhere")
    here, there = _plan(boards, "low"), _plan(tmp_path / "elsewhere", "low")
    assert here.disk == there.disk
    assert _keys(here) == _keys(there)
    assert here == _plan(boards, "low")


@pytest.mark.parametrize(
    "text",
    [
        "extends: good\ntitle: Other\n",
        "extends: good\nboot: {cmdline: {console: null, root: null, a: rw rootwait, b: console=tty0}}\n",
    ],
)
def test_another_recipe_has_other_ids(boards: Path, text: str) -> None:
    write_board(boards, "low", "extends: good\n")
    before = _plan(boards, "low").disk
    write_board(boards, "low", text)
    after = _plan(boards, "low").disk
    assert before.id != after.id
    assert not {slot.fs_id for slot in before.slots} & {slot.fs_id for slot in after.slots}


def test_order_of_the_command_line_counts(boards: Path) -> None:
    write_board(boards, "low", "extends: good\nboot: {cmdline: {console: null, root: null, a: x, b: y}}\n")
    before = _plan(boards, "low")
    write_board(boards, "low", "extends: good\nboot: {cmdline: {console: null, root: null, b: y, a: x}}\n")
    assert before.disk.id != _plan(boards, "low").disk.id


def test_how_qemu_starts_an_image_and_where_imager_lists_it_is_in_none_of_its_ids(boards: Path) -> None:
    write_board(boards, "low", "extends: good\n")
    before = _plan(boards, "low").disk
    write_board(boards, "low", "extends: good\nimager: [pi4-64bit]\nqemu: {machine: virt, cores: 7}\n")
    assert _plan(boards, "low").disk == before


def test_another_version_has_other_ids(boards: Path) -> None:
    one, two = _plan(boards, version="1.0").disk, _plan(boards, version="1.1").disk
    assert one.id != two.id
    assert not {slot.partuuid for slot in one.slots} & {slot.partuuid for slot in two.slots}


def test_comments_and_layout_of_the_text_do_not_count(boards: Path) -> None:
    write_board(boards, "low", "extends: good\nfeatures: [wifi]\nhostname: x\n")
    before = _plan(boards, "low")
    write_board(boards, "low", "# a comment\nextends: good\nhostname: 'x'\nfeatures:\n  - wifi\n")
    assert _plan(boards, "low") == before


Change = Callable[[Path], object]
_CHANGES: dict[str, Change] = {
    "key": lambda directory: (directory / "key.asc").write_text("other"),
    "deb": lambda directory: (directory / "a.deb").write_text("other"),
    "overlay content": lambda directory: (directory / "files/a").write_text("other"),
    "overlay mode": lambda directory: (directory / "files/a").chmod(0o755),
    "overlay name": lambda directory: (directory / "files/a").rename(directory / "files/b"),
    "overlay link": lambda directory: (directory / "files/l").symlink_to("a"),
    "script": lambda directory: (directory / "customise.sh").write_text("true"),
}


def _board_with_files(boards: Path) -> Path:
    text = """\
        extends: good
        archives: {debian: {key: {file: key.asc}}}
        kernel: {debs: [{file: a.deb}]}
        blobs:
          bl1: {file: bl1.bin, offset: 8KiB, size: 8KiB}
        """
    directory = write_board(boards, "low", text)
    for name in ("key.asc", "a.deb", "bl1.bin", "files/a"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(name)
        (directory / name).chmod(0o644)
    return directory


@pytest.mark.parametrize("change", _CHANGES)
def test_every_input_changes_the_key_of_its_step_and_all_later_ones(boards: Path, change: str) -> None:
    directory = _board_with_files(boards)
    before = _plan(boards, "low")
    _CHANGES[change](directory)
    after = _plan(boards, "low")
    first = 1 if change == "deb" else 2
    same = [old == new for old, new in zip(_keys(before), _keys(after), strict=True)]
    assert same == [True] * first + [False] * (5 - first)
    assert before.disk == after.disk


def test_a_boot_blob_changes_the_image_but_not_the_rootfs(boards: Path) -> None:
    directory = _board_with_files(boards)
    before = _keys(_plan(boards, "low"))
    (directory / "bl1.bin").write_text("other")
    after = _keys(_plan(boards, "low"))
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, True, False, False]


def test_version_and_epoch_change_nothing_that_boards_share(boards: Path) -> None:
    before = _keys(_plan(boards, epoch=1))
    for after in (_keys(_plan(boards, epoch=2)), _keys(_plan(boards, epoch=1, version="2.0"))):
        assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, False, False]


def test_the_base_is_what_the_first_ancestor_asks_for(boards: Path) -> None:
    docker = {"docker.io", "docker-cli", "docker-compose", "containerd", "runc", "iptables"}
    write_board(boards, "child", "extends: good\npackages: {base: [sudo], more: [htop]}\n")
    assert set(_plan(boards).packages.base) == {"systemd-sysv", "sudo", *docker}
    assert set(_plan(boards, "child").packages.base) == {"sudo", *docker}
    assert set(_plan(boards, "child").packages.names) == {"sudo", "htop", "linux-image-arm64", *docker}


def test_what_a_child_corrects_in_the_first_ancestor_is_no_name(boards: Path) -> None:
    write_board(boards, "wrong", GOOD.replace("[systemd-sysv, sudo]", "[sudo, 7]\n  typo: htop"))
    write_board(boards, "right", "extends: wrong\npackages: {base: [sudo], typo: null}\ndocker: {source: none}\n")
    assert _plan(boards, "right").packages.base == ("sudo",)


@pytest.mark.parametrize("version", ["1", "1.2.3", "v1+git-5_x", "dirty"])
def test_good_versions(boards: Path, version: str) -> None:
    assert _plan(boards, version=version).image_name == f"boardwright-good-{version}.img"


@pytest.mark.parametrize("version", ["", ".1", "-1", "a b", "../x", "a/b", "1\n", "ü"])
def test_bad_versions(boards: Path, version: str) -> None:
    with pytest.raises(RecipeError, match="found the version") as caught:
        _plan(boards, version=version)
    assert "--version" in caught.value.hint
