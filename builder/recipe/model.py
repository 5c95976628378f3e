# SPDX-License-Identifier: MIT
"""What a person asks for: one board's data as frozen types.

A key of `board.yaml` is a field here, with the sentence that editors show. Unknown keys and wrong types are
refused, and so is what would only fail later: a partition without room, two users of one name. Files named by a
recipe are paths relative to the board's directory that declares them; `builder.recipe.load` resolves them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from builder.architecture import Architecture
from builder.recipe.boot import Boot
from builder.recipe.expect import Expect
from builder.recipe.qemu import Qemu
from builder.recipe.values import (
    ArchiveName,
    BoardName,
    Component,
    DebianVersion,
    DiskIdEnd,
    Fingerprint,
    Frozen,
    Gecos,
    GroupName,
    Hostname,
    ImagerName,
    Label,
    Locale,
    MountOptions,
    MountPoint,
    PackageName,
    PartitionName,
    Prose,
    RelativePath,
    Sha256,
    Shell,
    Size,
    Suite,
    SystemSuite,
    TimeZone,
    TreePath,
    UnitName,
    Url,
    UserName,
    Word,
)
from builder.units import load_size

__all__ = ["Architecture", "Filesystem", "Recipe"]


class Key(Frozen):
    """The key an archive is signed with: a file here, or a URL whose key must have the fingerprint."""

    file: RelativePath | None = None
    """Keyring or .asc below the board's directory, or one of the system's below /usr/share/keyrings."""
    url: Url | None = None
    """Where to fetch the key."""
    fingerprint: Fingerprint | None = None
    """Full fingerprint (40 hex digits) that the fetched key must have."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("name either `file` or `url`")
        if self.url and not self.fingerprint:
            raise ValueError("a key fetched from a `url` needs its `fingerprint`")
        return self


class Archive(Frozen):
    """A Debian package archive."""

    url: Url
    """Base URL, for example http://deb.debian.org/debian."""
    suites: list[Suite] = Field(min_length=1)
    """Suites to use, for example [trixie, trixie-updates]."""
    components: list[Component] = Field(default=["main"], min_length=1)
    """Components to use, for example [main, non-free-firmware]."""
    key: Key
    """The key that signs this archive; there is no way to switch the check off."""
    pin: Annotated[int, Field(ge=-1, le=1001)] | None = None
    """APT priority of this archive's packages (apt_preferences); 500 without."""


class Deb(Frozen):
    """One .deb package outside any archive: a file of `debs/`, or a URL with its digest."""

    file: RelativePath | None = None
    """Path below the board's directory, for example debs/linux-image-custom.deb."""
    url: Url | None = None
    """Where to fetch it."""
    sha256: Sha256 | None = None
    """Digest of the fetched file."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("name either `file` or `url`")
        if self.url and not self.sha256:
            raise ValueError("a package fetched from a `url` needs its `sha256`")
        return self


class Kernel(Frozen):
    """The Linux kernel: by package name from an archive, or as .deb files, or both."""

    packages: list[PackageName] = []
    """Packages by name, for example [linux-image-arm64]."""
    debs: list[Deb] = []
    """Packages as files."""


class Docker(Frozen):
    """Docker Engine, CLI and the compose plugin."""

    source: Literal["debian", "docker", "none"] = "debian"
    """`debian`: docker.io of the suite; `docker`: Docker's own archive; `none`: an image without Docker."""
    channel: Literal["stable", "test"] = "stable"
    """Channel of Docker's own archive."""
    version: DebianVersion | None = None
    """Version of docker-ce in Docker's own archive, for example "5:28.5.1-1~debian.13~trixie"; newest without."""
    url: Url = "https://download.docker.com/linux/debian"
    """Docker's own archive, or a mirror of it."""
    key: Key = Key(
        url="https://download.docker.com/linux/debian/gpg",
        fingerprint="9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88",
    )
    """The key of Docker's own archive."""

    @model_validator(mode="after")
    def _version_of_docker(self) -> Self:
        if self.version and self.source != "docker":
            raise ValueError("`version` is selectable with `source: docker` only")
        return self


class Customise(Frozen):
    """How the script customise.sh of the board's directory runs."""

    network: bool = True
    """Whether it has the network of the machine that builds; names resolve then as they do there."""


class User(Frozen):
    """A user that exists in the image, without password and without key: user-data sets these."""

    groups: list[UserName] = []
    """Supplementary groups; a missing one is made as a system group."""
    shell: Shell = "/bin/bash"
    """Login shell; a package of the board has it."""
    gecos: Gecos = ""
    """Full name."""
    sudo: Literal["none", "password", "nopasswd"] = "none"
    """What sudo asks: `nopasswd` suits a user who logs in by key and has no password."""


class Filesystem(StrEnum):
    """Filesystems that can be made without mounting."""

    FAT32 = "fat32"
    EXT4 = "ext4"


class Partition(Frozen):
    """A partition as asked for. They lie on the disk in the order given."""

    name: PartitionName
    """Name of the slot; the partition's name in a GPT."""
    filesystem: Filesystem
    """fat32 or ext4."""
    size: Literal["auto"] | Size
    """Size, or `auto`: as large as the content plus `margin` (last partition only)."""
    margin: Size = "256MiB"
    """Free space beyond the content when the size is `auto`."""
    start: Size | None = None
    """Where it starts; the next 1 MiB boundary without."""
    mount: MountPoint
    """Mount point in the running system."""
    options: MountOptions = "defaults"
    """Mount options in /etc/fstab; `x-systemd.device-timeout=10min` is added, but for `/`, `nofail`, or another one."""
    label: Label
    """Filesystem label; at most 11 characters on fat32."""
    flags: list[Literal["boot", "esp"]] = []
    """`boot`: active in an MBR, legacy-boot in a GPT; `esp`: EFI system partition."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.filesystem is Filesystem.FAT32 and len(self.label) > 11:
            raise ValueError(f"label {self.label!r} has {len(self.label)} characters; fat32 holds 11")
        if self.filesystem is Filesystem.FAT32 and self.size != "auto" and load_size(self.size) < 34 * 1024 * 1024:
            raise ValueError(f"{self.size} is too small for fat32; at least 34MiB (65525 clusters of 512 bytes)")
        return self


class Table(Frozen):
    """The partition table."""

    type: Literal["mbr", "gpt"]
    """mbr (up to four partitions) or gpt."""
    id_ends_with: DiskIdEnd | None = None
    """Last four hex digits of the disk signature, for boot code that has bytes 440 and 441 to itself (mbr only)."""
    partitions: list[Partition] = Field(min_length=1)
    """Partitions in the order they lie on the disk."""


class Hole(Frozen):
    """A range inside a blob that is not written, because something else lives there."""

    offset: Size
    """Start of the hole, from the start of the blob."""
    size: Size
    """Length of the hole."""


class Blob(Frozen):
    """Raw bytes at a fixed place on the disk, outside any partition: a boot loader."""

    rootfs: TreePath | None = None
    """File of the built rootfs, for example usr/lib/u-boot/orangepi_pc/u-boot-sunxi-with-spl.bin."""
    file: RelativePath | None = None
    """File below the board's directory."""
    url: Url | None = None
    """Where to fetch it."""
    sha256: Sha256 | None = None
    """Digest of the fetched file."""
    licence: Prose = ""
    """Under what terms a fetched blob may be used."""
    offset: Size
    """Where its first byte goes."""
    size: Size
    """Room it may take at most; the plan keeps it free."""
    holes: list[Hole] = []
    """Ranges left alone."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.rootfs, self.file, self.url)) != 1:
            raise ValueError("name one of `rootfs`, `file` and `url`")
        if self.url and not self.sha256:
            raise ValueError("a blob fetched from a `url` needs its `sha256`")
        return self


class Recipe(Frozen):
    """Everything a board is."""

    extends: BoardName | None = None
    """The board this one starts from: mappings are merged key by key, anything else is replaced, null removes."""
    title: Prose
    """What the board is called on its box."""
    architecture: Architecture
    """Debian architecture of the image."""
    suite: SystemSuite
    """Debian suite, for example trixie."""
    features: list[Word] = []
    """What the hardware has: wifi, bluetooth, ethernet, hdmi, serial, gpio, usb, virtual. Specs ask for these."""
    imager: list[ImagerName] = []
    """Names by which Raspberry Pi Imager knows the hardware, for example [pi4-64bit]: it offers the image for these."""
    archives: dict[ArchiveName, Archive] = Field(min_length=1)
    """Package archives; the one called `debian` is the system's own."""
    packages: dict[GroupName, list[PackageName]] = {}
    """Packages to install, in named groups. A group `NAME@SUITE` takes the place of `NAME` where the suite is that."""
    kernel: Kernel
    """The kernel."""
    docker: Docker = Docker()
    """Docker."""
    hostname: Hostname
    """Host name until user-data sets another."""
    locale: Locale
    """System locale, for example en_GB.UTF-8 (C.UTF-8 is allowed too)."""
    timezone: TimeZone
    """Name of the time zone, for example Europe/Berlin."""
    users: dict[UserName, User] = {}
    """Users of the image; the first is the one that user-data's `password` and `ssh_authorized_keys` are for."""
    units: dict[UnitName, Literal["enabled", "disabled", "masked"]] = {}
    """State of systemd units."""
    customise: Customise = Customise()
    """The script customise.sh."""
    expect: Expect = Expect()
    """What the image may have that neither packages bring nor other keys ask for."""
    table: Table
    """The partition table."""
    blobs: dict[Word, Blob] = {}
    """Raw boot blobs."""
    boot: Boot
    """The boot configuration."""
    qemu: Qemu | None = None
    """How QEMU starts it; a board without cannot be booted here."""

    @property
    def package_groups(self) -> dict[str, list[str]]:
        """The groups of packages that count in this suite, by name."""
        names = dict.fromkeys(name.partition("@")[0] for name in self.packages)
        return {name: self.packages.get(f"{name}@{self.suite}", self.packages.get(name, [])) for name in names}
