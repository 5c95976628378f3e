# SPDX-License-Identifier: MIT
"""The recipe of a board as frozen types.

Each key of `board.yaml` is a field here, with the help text that editors show. Unknown keys and wrong types are
refused, and also values that would fail later, such as a partition that is too small. Paths of files are relative to
the directory of the board that names them; `builder.recipe.load` resolves them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from builder.architecture import Architecture
from builder.filesystem import Filesystem
from builder.recipe.boot import Boot
from builder.recipe.expect import Expect
from builder.recipe.phrases import join_options
from builder.recipe.qemu import Qemu
from builder.recipe.values import (
    ArchiveName,
    BoardName,
    Component,
    DebianVersion,
    DiskIdEnd,
    Fingerprint,
    FrozenModel,
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


class Key(FrozenModel):
    """The key that signs an archive: a file, or a URL with the key's fingerprint."""

    file: RelativePath | None = None
    """Keyring or .asc below the board's directory, or a keyring of the system below /usr/share/keyrings."""
    url: Url | None = None
    """URL of the key."""
    fingerprint: Fingerprint | None = None
    """Full fingerprint (40 hex digits) that the fetched key must have."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("found both or none of `file` and `url`; expected one")
        if self.url and not self.fingerprint:
            raise ValueError("found a key with `url`; expected its `fingerprint` too")
        return self


class Archive(FrozenModel):
    """A Debian package archive."""

    url: Url
    """Base URL, for example http://deb.debian.org/debian."""
    suites: list[Suite] = Field(min_length=1)
    """Suites to use, for example [trixie, trixie-updates]."""
    components: list[Component] = Field(default=["main"], min_length=1)
    """Components to use, for example [main, non-free-firmware]."""
    key: Key
    """The key that signs this archive; the check cannot be switched off."""
    pin: Annotated[int, Field(ge=-1, le=1001)] | None = None
    """APT priority of this archive's packages (apt_preferences(5)); 500 if not set."""


class Deb(FrozenModel):
    """A .deb that is in no archive: a file of `debs/`, or a URL with its digest."""

    file: RelativePath | None = None
    """Path below the board's directory, for example debs/linux-image-custom.deb."""
    url: Url | None = None
    """URL of the .deb."""
    sha256: Sha256 | None = None
    """SHA-256 of the downloaded file."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("found both or none of `file` and `url`; expected one")
        if self.url and not self.sha256:
            raise ValueError("found a package with `url`; expected its `sha256` too")
        return self


class Kernel(FrozenModel):
    """The Linux kernel: packages of an archive, .deb files, or both."""

    packages: list[PackageName] = []
    """Names of packages, for example [linux-image-arm64]."""
    debs: list[Deb] = []
    """Packages as .deb files."""


class Docker(FrozenModel):
    """Docker Engine, CLI and the compose plugin."""

    source: Literal["debian", "docker", "none"] = "debian"
    """`debian`: docker.io of the suite; `docker`: Docker's own archive; `none`: an image without Docker."""
    channel: Literal["stable", "test"] = "stable"
    """Channel of Docker's own archive."""
    version: DebianVersion | None = None
    """Version of docker-ce in Docker's own archive, for example "5:28.5.1-1~debian.13~trixie"; else the newest."""
    url: Url = "https://download.docker.com/linux/debian"
    """URL of Docker's own archive, or of a mirror."""
    key: Key = Key(
        url="https://download.docker.com/linux/debian/gpg",
        fingerprint="9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88",
    )
    """The key of Docker's own archive."""

    @model_validator(mode="after")
    def _version_of_docker(self) -> Self:
        if self.version and self.source != "docker":
            raise ValueError(f"found `version` with `source: {self.source}`; expected it with `source: docker` only")
        return self


class Customise(FrozenModel):
    """Settings of the script customise.sh in the board's directory."""

    network: bool = True
    """Give the script the network and the name resolution of the build machine."""


class User(FrozenModel):
    """A user of the image, without password and key; user-data sets these."""

    groups: list[UserName] = []
    """Supplementary groups; a missing group is created as a system group."""
    shell: Shell = "/bin/bash"
    """Login shell; a package of the board must contain it."""
    gecos: Gecos = ""
    """Full name."""
    sudo: Literal["none", "password", "nopasswd"] = "none"
    """Use of sudo: not at all, with the password, or without (for users who log in by key)."""


class Partition(FrozenModel):
    """A partition. Partitions are on the disk in the order given."""

    name: PartitionName
    """Name of the slot, and of the partition in a GPT."""
    filesystem: Filesystem = Field(description=f"{join_options(Filesystem)}.")
    size: Literal["auto"] | Size
    """Size, or `auto`: the size of the content plus `margin` (last partition only)."""
    margin: Size = "256MiB"
    """Free space besides the content if the size is `auto`."""
    start: Size | None = None
    """Start on the disk; the next 1 MiB boundary if not set."""
    mount: MountPoint
    """Mount point in the running system."""
    options: MountOptions = "defaults"
    """Mount options in /etc/fstab; `x-systemd.device-timeout=10min` is added, unless for `/`, `nofail` or if set."""
    label: Label
    """Filesystem label; at most 11 characters on fat32."""
    flags: list[Literal["boot", "esp"]] = []
    """`boot`: active in an MBR, legacy-boot in a GPT; `esp`: EFI system partition."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        name, row = self.filesystem, self.filesystem.row
        if len(self.label) > row.label_letters:
            raise ValueError(
                f"found the label {self.label!r}; expected at most {row.label_letters} characters for {name}"
            )
        if row.minimum and self.size != "auto" and load_size(self.size) < load_size(row.minimum):
            raise ValueError(f"found {self.size}; expected at least {row.minimum} for {name} ({row.minimum_reason})")
        return self


class Table(FrozenModel):
    """The partition table."""

    type: Literal["mbr", "gpt"]
    """mbr (up to four partitions) or gpt."""
    id_ends_with: DiskIdEnd | None = None
    """Last four hex digits of the disk signature, for boot code that uses bytes 440 and 441 (mbr only)."""
    partitions: list[Partition] = Field(min_length=1)
    """Partitions in their order on the disk."""


class Hole(FrozenModel):
    """A range inside a blob that is not written, because the disk has other data there."""

    offset: Size
    """Start of the hole, from the start of the blob."""
    size: Size
    """Length of the hole."""


class Blob(FrozenModel):
    """Raw bytes at a fixed offset of the disk, outside any partition, such as a boot loader."""

    rootfs: TreePath | None = None
    """File of the built rootfs, for example usr/lib/u-boot/orangepi_pc/u-boot-sunxi-with-spl.bin."""
    file: RelativePath | None = None
    """File below the board's directory."""
    url: Url | None = None
    """URL of the blob."""
    sha256: Sha256 | None = None
    """SHA-256 of the downloaded file."""
    licence: Prose = ""
    """Licence terms of a downloaded blob."""
    offset: Size
    """Offset of its first byte on the disk."""
    size: Size
    """Maximum size; the plan keeps this range free."""
    holes: list[Hole] = []
    """Ranges that are not written."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.rootfs, self.file, self.url)) != 1:
            raise ValueError("found none or several of `rootfs`, `file` and `url`; expected one")
        if self.url and not self.sha256:
            raise ValueError("found a blob with `url`; expected its `sha256` too")
        return self


class Recipe(FrozenModel):
    """The complete recipe of a board."""

    extends: BoardName | None = None
    """The parent board: mappings are merged key by key, anything else is replaced, null removes a key."""
    title: Prose
    """Name of the board, as on its box."""
    architecture: Architecture
    """Debian architecture of the image."""
    suite: SystemSuite
    """Debian suite, for example trixie."""
    features: list[Word] = []
    """Features of the hardware: wifi, bluetooth, ethernet, hdmi, serial, gpio, usb, virtual. Specs use them."""
    imager: list[ImagerName] = []
    """Raspberry Pi Imager's names of the hardware, for example [pi4-64bit]; it offers the image for these."""
    archives: dict[ArchiveName, Archive] = Field(min_length=1)
    """Package archives; the system is made from the one called `debian`."""
    packages: dict[GroupName, list[PackageName]] = {}
    """Packages to install, in named groups. With the suite SUITE, a group `NAME@SUITE` replaces `NAME`."""
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
    """Users of the image; `password` and `ssh_authorized_keys` of user-data apply to the first one."""
    units: dict[UnitName, Literal["enabled", "disabled", "masked"]] = {}
    """State of systemd units."""
    customise: Customise = Customise()
    """The script customise.sh."""
    expect: Expect = Expect()
    """Exceptions that the specs allow, besides what packages and other keys bring."""
    table: Table
    """The partition table."""
    blobs: dict[Word, Blob] = {}
    """Raw boot blobs."""
    boot: Boot
    """The boot configuration."""
    qemu: Qemu | None = None
    """How QEMU starts the image; needed for `boardwright boot`."""

    @property
    def package_groups(self) -> dict[str, list[str]]:
        """The groups of packages for this suite, by name."""
        names = dict.fromkeys(name.partition("@")[0] for name in self.packages)
        return {name: self.packages.get(f"{name}@{self.suite}", self.packages.get(name, [])) for name in names}
