# SPDX-License-Identifier: MIT
"""The images users get, read with tools that had no part in making them."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.artefact.build_record import read_record
from tests.chain.conftest import VERSION, Build, Built, boardwright

pytestmark = [pytest.mark.engine, pytest.mark.machine, pytest.mark.slow]

SECTOR = 512


@dataclass(frozen=True)
class Opened:
    """An image as foreign tools see it: its table, and one file per partition."""

    path: Path
    table: dict[str, str]
    partitions: tuple[dict[str, str | int], ...]
    slots: tuple[Path, ...]


def tool(*argv: str | Path) -> str:
    return subprocess.run([*map(str, argv)], check=True, capture_output=True, text=True).stdout


def sha256sum(path: Path) -> str:
    return tool("sha256sum", path).split()[0]


def open_image(path: Path, work: Path) -> Opened:
    table = json.loads(tool("sfdisk", "--json", path))["partitiontable"]
    slots = []
    for number, partition in enumerate(table["partitions"], 1):
        slot = work / f"slot{number}"
        tool("dd", f"if={path}", f"of={slot}", "bs=1M", "conv=sparse", "status=none", "iflag=skip_bytes,count_bytes",
             f"skip={partition['start'] * SECTOR}", f"count={partition['size'] * SECTOR}")  # fmt: skip
        slots.append(slot)
    return Opened(path, table, tuple(table["partitions"]), tuple(slots))


@pytest.fixture(scope="module")
def virtual(qemu_amd64: Built, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return open_image(qemu_amd64.file(".img"), tmp_path_factory.mktemp("amd64"))


@pytest.fixture(scope="module")
def raspberry(rpi_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return open_image(rpi_disk, tmp_path_factory.mktemp("rpi"))


def read_root(image: Opened, path: str) -> str:
    return tool("debugfs", "-R", f"cat {path}", image.slots[1])


def read_boot(image: Opened, path: str) -> str:
    return tool("mtype", "-i", image.slots[0], f"::{path}")


def partuuids(image: Opened) -> tuple[str, ...]:
    if image.table["label"] == "gpt":
        return tuple(str(partition["uuid"]).lower() for partition in image.partitions)
    signature = image.table["id"].removeprefix("0x")
    return tuple(f"{signature}-{number:02d}" for number in range(1, len(image.partitions) + 1))


@pytest.mark.parametrize("name", ["virtual", "raspberry"])
def test_foreign_tools_find_nothing_wrong(name: str, request: pytest.FixtureRequest) -> None:
    image: Opened = request.getfixturevalue(name)
    assert "No errors detected" in tool("sfdisk", "--verify", image.path)
    tool("fsck.vfat", "-n", image.slots[0])
    tool("e2fsck", "-f", "-n", image.slots[1])


@pytest.mark.parametrize("name", ["virtual", "raspberry"])
def test_fstab_and_command_line_agree_with_the_table(name: str, request: pytest.FixtureRequest) -> None:
    image: Opened = request.getfixturevalue(name)
    boot, root = partuuids(image)
    fstab = dict(line.split()[:2] for line in read_root(image, "/etc/fstab").splitlines() if line.startswith("PART"))
    assert fstab[f"PARTUUID={root}"] == "/"
    assert fstab[f"PARTUUID={boot}"].startswith("/boot/")
    assert f"root=PARTUUID={root} " in read_command_line(image)


def read_command_line(image: Opened) -> str:
    if image.table["label"] == "dos":
        return read_boot(image, "/cmdline.txt")
    listing = tool("mdir", "-b", "-i", image.slots[0], "::/loader/entries")
    entry = next(line for line in listing.splitlines() if line.endswith(".conf"))
    return read_boot(image, entry.removeprefix("::"))


def test_a_raspberry_pi_finds_what_it_boots_from(raspberry: Opened) -> None:
    assert raspberry.table["label"] == "dos"
    assert raspberry.partitions[0]["type"] == "c"
    config = read_boot(raspberry, "/config.txt")
    kernel = re.search(r"^kernel=(\S+)", config, re.MULTILINE)
    initrd = re.search(r"^initramfs (\S+)", config, re.MULTILINE)
    assert kernel
    assert initrd
    there = {line.removeprefix("::/") for line in tool("mdir", "-b", "-i", raspberry.slots[0], "::").splitlines()}
    models = {f"bcm{chip}-rpi-{model}.dtb" for chip, model in [("2837", "3-b"), ("2837", "3-b-plus"), ("2711", "4-b"),
                                                               ("2712", "5-b"), ("2837", "zero-2-w")]}  # fmt: skip
    assert {"bootcode.bin", "start.elf", "start4.elf", "fixup.dat", "fixup4.dat", "cmdline.txt", "user-data",
            "meta-data", "network-config", "os-release", kernel[1], initrd[1], *models} <= there  # fmt: skip
    assert "cgroup_enable=memory" in read_command_line(raspberry)
    assert "gpu_mem=16" in config


def test_a_virtual_machine_finds_what_it_boots_from(virtual: Opened) -> None:
    assert virtual.table["label"] == "gpt"
    assert virtual.partitions[0]["type"] == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
    entry = read_command_line(virtual)
    for key in ("linux", "initrd"):
        path = re.search(rf"^{key} +(\S+)", entry, re.MULTILINE)
        assert path
        assert path[1].startswith("/boardwright/")
        assert tool("mdir", "-b", "-i", virtual.slots[0], f"::{path[1]}")
    assert tool("mdir", "-b", "-i", virtual.slots[0], "::/EFI/BOOT/BOOTX64.EFI")


def test_both_assemblers_make_the_same_bytes_of_one_rootfs(build: Build, qemu_amd64: Built) -> None:
    options = ("--assembler", "offline", "--compress", "none", "--reuse-rootfs")
    assert build("qemu-amd64", *options, output="offline").sha256 == qemu_amd64.sha256


@pytest.mark.parametrize("name", ["virtual", "raspberry"])
def test_nothing_of_the_build_and_no_secret_is_in_the_image(name: str, request: pytest.FixtureRequest) -> None:
    image: Opened = request.getfixturevalue(name)
    assert read_root(image, "/etc/machine-id") == ""
    assert "ssh_host" not in tool("debugfs", "-R", "ls -p /etc/ssh", image.slots[1])
    assert "Packages" not in tool("debugfs", "-R", "ls -p /var/lib/apt/lists", image.slots[1])
    shadow = dict(line.split(":")[:2] for line in read_root(image, "/etc/shadow").splitlines())
    assert shadow["pirate"] == "!"
    assert all(value.startswith(("!", "*")) for value in shadow.values())


@pytest.mark.parametrize("name", ["virtual", "raspberry"])
def test_board_and_version_are_written_where_users_look(name: str, request: pytest.FixtureRequest) -> None:
    image: Opened = request.getfixturevalue(name)
    for text in (read_root(image, "/etc/os-release"), read_boot(image, "/os-release")):
        assert f"IMAGE_VERSION={VERSION}\n" in text
        assert "BOARDWRIGHT_BOARD=" in text


def test_the_build_writes_down_what_it_made_the_image_from(rpi: Built, raspberry: Opened) -> None:
    record = read_record(rpi.file(".build.json").read_text(), "record")
    assert record.image_sha256 == sha256sum(raspberry.path)
    assert (record.board, record.version, record.suite) == ("rpi", VERSION, "trixie")
    rows = [line.split("\t") for line in rpi.file(".packages").read_text().splitlines()[1:]]
    assert {(each.name, each.version) for each in record.packages} == {(row[0], row[1]) for row in rows}
    assert all(re.fullmatch("[0-9a-f]{64}", each.sha256) for each in record.packages)
    assert record.builder_image.startswith("sha256:")


def test_the_artefact_comes_with_its_checksum_and_packages(rpi: Built) -> None:
    artefact = rpi.file(".img.zst")
    assert artefact.name == f"boardwright-rpi-{VERSION}.img.zst"
    digest = sha256sum(artefact)
    assert rpi.file(".sha256").read_text() == f"{digest}  {artefact.name}\n"
    rows = [line.split("\t") for line in rpi.file(".packages").read_text().splitlines()]
    names = {row[0]: row for row in rows}
    assert {"docker.io", "docker-compose", "linux-image-arm64", "raspi-firmware", "cloud-init"} <= set(names)
    assert names["docker.io"][2] == "arm64"


def test_the_caches_of_the_volume_are_listed(qemu_amd64: Built, place: Path) -> None:
    done = boardwright("cache", "ls", "--engine", "docker", "--json", "--state", place / "state")
    lines = json.loads(done.stdout)
    assert {"package", "index", "rootfs"} <= {line["kind"] for line in lines}
    assert "qemu-amd64" in {line["name"] for line in lines if line["kind"] == "rootfs"}


def test_a_build_leaves_no_loop_device_and_no_container(rpi: Built, qemu_amd64: Built, place: Path) -> None:
    assert not re.search(r"/rooms/(rpi|qemu-amd64)/", tool("losetup", "--list", "--output", "BACK-FILE"))
    label = '{{.Label "boardwright.journal"}}'
    journals = tool("docker", "ps", "--all", "--filter", "label=boardwright.build", "--format", label).splitlines()
    assert not [journal for journal in journals if Path(journal).is_relative_to(place)]


def test_the_finished_rootfs_opens_as_a_shell(qemu_amd64: Built, place: Path) -> None:
    typed = "cat /etc/hostname; touch /left; docker --version; exit 3\n"
    done = boardwright("shell", "qemu-amd64", "--state", place / "state", typed=typed)
    assert done.returncode == 3, done.stderr
    assert "boardwright" in done.stdout
    assert "Docker version" in done.stdout


def test_an_unknown_board_is_named_with_its_neighbours() -> None:
    done = boardwright("build", "rpj")
    assert done.returncode == 3
    assert "rpi" in done.stderr
