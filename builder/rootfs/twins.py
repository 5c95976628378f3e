# SPDX-License-Identifier: MIT
"""Build the twin tree: native builds of programs that maintainer scripts use, which run instead of the emulated ones.

A private apt takes a fixed list of packages from the archives of the target (same suite, same mirrors). A program gets
a twin only if its package has the same source version for both architectures (apt/pairs.py). The tree has programs and
their libraries, but no data: a twin reads the target's data, at the target's paths. During a build the tree is mounted
at PLACE in the target. Loader and libraries exist only there, because hooks that glob /usr/lib/*/ would copy them into
the initrd. So the paths compiled into programs, libraries and the loader are overwritten by others of the same length.
(Not with patchelf: version 0.18, in Debian 13, breaks python3.13.)

A program that is not in the tree is emulated. So are programs that report or depend on the architecture, programs that
load modules missing in the tree (PAM), and most calls of Python and dpkg. redirect.c lists the other calls.
Some names cannot be hidden: perl's $Config{archname} and POSIX::uname, and bash's $MACHTYPE, give the native
architecture. The key of a tree is made of its package versions and our code. A tree appears only when it is complete,
and is never changed afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builder.architecture import Architecture
from builder.rootfs.apt.freshness import digest_releases, has_changed
from builder.rootfs.apt.pairs import Sources, find_paired, find_versions, make_apt
from builder.rootfs.records import load_twins
from builder.system.atomic import give_name
from builder.system.fingerprint import digest_code
from builder.system.process import run

CODE = "rootfs.twins"
"""Our module that decides the content of a tree."""
PLACE = ".boardwright-twins"
TAUGHT = "dpkg-knows-the-target"
"""Marker file in the tree: the twins of dpkg report the target's architecture."""

PACKAGES = (
    *("bash", "bsdutils", "bzip2", "coreutils", "cpio", "dash", "debianutils", "diffutils", "dracut-install"),
    *("findutils", "gawk", "grep", "gzip", "kmod", "mawk", "mount", "openssl", "perl-base", "sed", "systemd"),
    *("tar", "udev", "util-linux", "xz-utils", "zstd"),
)

# Packages of which only these programs get a twin: the others report the architecture, or use NSS or PAM.
ONLY = {
    "apt": {"apt-extracttemplates"},  # started by dpkg-preconfigure; reads all indexes
    "dpkg": {
        *("dpkg", "dpkg-deb", "dpkg-divert", "dpkg-query", "dpkg-split", "dpkg-statoverride", "dpkg-trigger"),
        "update-alternatives",
    },
    "libc-bin": {"localedef"},
    "openssh-client": {"ssh-keygen"},
}

# Perl's modules and Python's compiler have versions in their package names; they come as dependencies of these.
UMBRELLAS = ("perl", "python3-minimal")
PYTHON = re.compile(r"python3\.\d+-minimal")

EMULATED = frozenset({
    # report or depend on the architecture
    "arch", "uname", "lscpu", "setarch", "bootctl", "hostnamectl", "kernel-install", "portablectl",
    "systemd-analyze", "systemd-confext", "systemd-detect-virt", "systemd-dissect", "systemd-gpt-auto-generator",
    "systemd-id128", "systemd-repart", "systemd-sysext",
    # load PAM modules
    "login", "run0", "runuser", "su",
})  # fmt: skip

MERGED = ("bin", "lib", "sbin")


def make(sources: Sources, *, native: Architecture, foreign: Architecture, cache: Path) -> Path | None:
    """Return the tree for this archive; build it if the cache has none of the current versions.

    Return None if the archive has no program in the same version for both architectures.
    """
    root = cache / f"apt-{native}-{foreign}"
    answer = root / "answer.json"
    if tree := _find_current(answer, sources, root, cache):
        return tree
    environment = make_apt(sources, (native, foreign), root)
    versions = find_versions((*PACKAGES, *ONLY, *UMBRELLAS), foreign, environment)
    paired = find_paired(versions, foreign, environment)
    if not paired.intersection(PACKAGES):
        return None
    key = hashlib.sha256(f"{sorted(versions.items())} {sorted(paired)} {digest_code(CODE)}".encode())
    tree = cache / f"{sources.suite}-{native}-for-{foreign}-{key.hexdigest()[:16]}"
    if not tree.exists():
        scratch = cache / f"{tree.name}.part"
        shutil.rmtree(scratch, ignore_errors=True)
        _unpack(versions, environment, scratch / "packages")
        _fill(scratch, paired, native)
        _hide_full_perl(scratch / "tree", foreign.row.multiarch)
        _replace_paths(scratch / "tree", native)
        _teach_architecture(scratch / "tree", native, foreign)
        give_name(scratch / "tree", tree, durable=False)
        shutil.rmtree(scratch)
    os.utime(tree)  # Time of last use, for the size limit of the cache.
    releases = digest_releases(root / "var/lib/apt/lists")
    answer.write_text(json.dumps({"sources": _digest(sources), "releases": releases, "tree": tree.name}))
    return tree


def _find_current(answer: Path, sources: Sources, root: Path, cache: Path) -> Path | None:
    """Return the tree of the last run, if it exists and the archive has not changed since; else None."""
    try:
        record = load_twins(answer.read_bytes())
    except FileNotFoundError:
        return None
    if record is None or record.sources != _digest(sources):
        return None
    tree, lists = cache / record.tree, root / "var/lib/apt/lists"
    if record.releases != digest_releases(lists) or not tree.is_dir() or has_changed(sources.releases, record.releases):
        return None
    os.utime(tree)
    return tree


def _digest(sources: Sources) -> str:
    return hashlib.sha256(f"{sources!r} {digest_code(CODE)}".encode()).hexdigest()


def _unpack(versions: dict[str, str], environment: dict[str, str], packages: Path) -> None:
    """Download exactly these versions, and unpack each package into a directory with its name."""
    exact = [f"{name}={version}" for name, version in versions.items()]
    debs = packages.parent / "debs"
    (debs / "partial").mkdir(parents=True)
    packages.mkdir()
    run(["apt-get", "install", "--yes", "--download-only", f"--option=Dir::Cache::archives={debs}", *exact],
        env=environment)  # fmt: skip
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda deb: run(["dpkg-deb", "--extract", deb, packages / deb.name.split("_")[0]]),
                      debs.glob("*.deb")))  # fmt: skip


def _fill(scratch: Path, paired: set[str], native: Architecture) -> None:
    """Move all libraries, and the programs that get a twin, from the packages into the tree."""
    tree = scratch / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "qemu").touch()  # enter.py mounts the machine's there
    (tree / "ld.so").symlink_to(f"libs/{Path(native.row.loader).name}")
    for name in MERGED:
        (tree / name).symlink_to(f"usr/{name}")
    for package in sorted((scratch / "packages").iterdir()):
        for root in (package / "lib" / native.row.multiarch, package / "usr/lib" / native.row.multiarch):
            for file in sorted(_walk(root)):
                _move(file, tree / "libs" / file.relative_to(root))
        for file in sorted(_walk(package)):
            if package.name in paired and _want_twin(package.name, file.name) and _is_program(file, native):
                _move(file, tree / _merged(file.relative_to(package)))


def _move(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    file.rename(target)


def _walk(root: Path) -> Iterator[Path]:
    """Yield files and symbolic links below a directory, which may be missing."""
    for directory, names, files in os.walk(root):
        links = [name for name in names if Path(directory, name).is_symlink()]
        yield from (Path(directory, name) for name in files + links)


def _want_twin(package: str, program: str) -> bool:
    if package in ONLY:
        return program in ONLY[package]
    return (package in PACKAGES or PYTHON.fullmatch(package) is not None) and program not in EMULATED


def _merged(path: Path) -> Path:
    """Return a path merged into /usr: packages of Debian 12 still have /bin, /lib and /sbin."""
    return Path("usr") / path if path.parts[0] in MERGED else path


def _is_program(file: Path, native: Architecture) -> bool:
    """A static program would do without the tree, but Debian has none of interest."""
    return _is_elf(file) and bool(file.stat().st_mode & 0o111) and _loader(native) in file.read_bytes()


def _is_elf(file: Path) -> bool:
    if file.is_symlink():
        return False
    with file.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _hide_full_perl(tree: Path, foreign_multiarch: str) -> None:
    """Hide the compiled modules of the full perl until the target has them too.

    Scripts must not find more modules than the target has. So the link to the twin's modules leads through the
    directory of the target's modules, and works only when that exists. Modules of perl-base always exist, as in the
    target.
    """
    modules = tree / "libs/perl"
    if modules.exists():
        modules.rename(tree / "perl")
        modules.symlink_to(f"/usr/lib/{foreign_multiarch}/perl/../../../../{PLACE}/perl")


def _replace_paths(tree: Path, native: Architecture) -> None:
    """Replace compiled-in paths, so that programs, libraries and the loader find each other in the tree.

    The length may be compiled in too, so it must not change. Paths are padded with slashes, which have no effect.
    """
    loader, public = _loader(native), f"/usr/lib/{native.row.multiarch}".encode()
    place = f"/{PLACE}".encode()
    for file in [file for file in _walk(tree) if _is_elf(file)]:
        old = file.read_bytes()
        new = old.replace(public, place + b"libs".rjust(len(public) - len(place), b"/"))
        new = new.replace(loader, (place + b"/ld.so").ljust(len(loader), b"\0"))
        if new != old:
            file.write_bytes(new)


def _teach_architecture(tree: Path, native: str, foreign: str) -> None:
    """Overwrite the architecture that dpkg's programs were compiled for by that of the target.

    This needs a name of the same length. For others, only calls that need no architecture run as a twin (redirect.c),
    and programs that would show the native architecture get no twin.
    """
    programs = [path for name in sorted(ONLY["dpkg"]) if (path := tree / "usr/bin" / name).exists()]
    if len(native) != len(foreign):
        for path in (tree / "usr/lib/apt/apt-extracttemplates", *programs):
            if path.name in ("apt-extracttemplates", "dpkg-query", "dpkg-trigger"):
                path.unlink(missing_ok=True)
        return
    # In apt, the library has the name.
    for path in (*programs, *(tree / "libs").glob("libapt-pkg.so.*")):
        path.write_bytes(path.read_bytes().replace(f"\0{native}\0".encode(), f"\0{foreign}\0".encode()))
    (tree / TAUGHT).touch()


def _loader(native: Architecture) -> bytes:
    """Return the path of the loader as it is compiled into programs."""
    return native.row.loader.encode() + b"\0"
