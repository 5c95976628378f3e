# SPDX-License-Identifier: MIT
"""Which way foreign programs run, and that the fast way changes nothing but the time."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.architecture import Architecture
from builder.choices import EmulationChoice
from builder.errors import MachineError
from builder.rootfs import emulation, namespaces, twins
from builder.rootfs.apt import pairs
from builder.rootfs.emulation import Emulation, Mode, Sources, choose, command, mmdebstrap_options, prepare
from builder.system.process import run
from tests.support.foreign import compile_twin, write_foreign
from tests.support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
TRIXIE = Sources(
    "trixie",
    "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: trixie\nComponents: main\n"
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
)
SLEEP_S = f"86399.{os.getpid()}"
"""An argument that no process of another test has."""
REDIRECT = Emulation(Mode.REDIRECT, "arm64", "test", Path("/usr/bin/qemu-aarch64-static"), private=True)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one directory, where dpkg says that the machine is an amd64."""
    directory = tmp_path / "tools"
    directory.mkdir()
    write_tool(directory / "dpkg", "echo amd64")
    monkeypatch.setenv("PATH", str(directory))
    return directory


def write_tool(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


class TestChoice:
    @pytest.mark.usefixtures("tools")
    def test_the_architecture_of_the_machine_is_native(self) -> None:
        assert choose(architecture="amd64").mode is Mode.NATIVE

    @pytest.mark.usefixtures("tools")
    def test_an_unknown_architecture_is_named_with_the_known_ones(self) -> None:
        with pytest.raises(MachineError, match="found 'm68k'; expected one of amd64, arm64"):
            choose(architecture="m68k")

    @pytest.mark.usefixtures("tools")
    def test_without_qemu_the_hint_names_the_package(self) -> None:
        with pytest.raises(MachineError, match="no static qemu-user for riscv64") as caught:
            choose(architecture="riscv64")
        assert "qemu-user-static" in caught.value.hint

    def test_a_qemu_that_needs_libraries_is_not_taken(self, tools: Path) -> None:
        write_tool(tools / "ldd", "echo 'libc.so.6 => /lib/libc.so.6 (0x1)'")
        write_tool(tools / "qemu-aarch64", "")
        with pytest.raises(MachineError, match="no static qemu-user"):
            choose(architecture="arm64")

    @pytest.mark.machine
    def test_where_all_is_allowed_the_redirect_is_taken(self) -> None:
        assert choose(architecture="arm64").mode is Mode.REDIRECT
        assert choose(architecture="arm64", wanted=EmulationChoice.QEMU).private

    @pytest.mark.machine
    def test_without_a_compiler_qemu_runs_all(self, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(emulation, "HELPER", tools / "none")
        for name in ("ldd", "true", "qemu-aarch64-static", "bash"):
            (tools / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or "")
        chosen = choose(architecture="arm64")
        assert (chosen.mode, chosen.private) == (Mode.QEMU, True)
        assert "gcc" in chosen.reason

    def test_a_native_build_has_no_option_of_emulation(self) -> None:
        options = mmdebstrap_options(Emulation(Mode.NATIVE, "amd64", "test"))
        assert options == ["--mode=root", "--architectures=amd64"]


@pytest.mark.machine
class TestRefusals:
    """Inside namespaces that forbid a step, with and without a handler that is registered there."""

    @pytest.mark.parametrize(
        ("forbid", "refused"),
        [
            ("echo 0 > /proc/sys/user/max_user_namespaces", "new namespaces"),
            ("mount -t tmpfs none /proc/irq", "fresh /proc"),
        ],
    )
    def test_qemu_runs_all_by_the_registered_handler(self, tmp_path: Path, forbid: str, refused: str) -> None:
        plain = replace(REDIRECT, mode=Mode.QEMU)
        said = self.run_inside(plain, forbid, f"print(choose(architecture='arm64')); {self.try_program(tmp_path)}")
        assert "<Mode.QEMU: 'qemu'>" in said
        assert "private=False" in said
        assert f"refused: {refused}" in said
        assert said.endswith("e/bin\n")
        assert "twelve times slower" in said

    def test_it_is_an_error_where_no_handler_is_registered(self) -> None:
        native = Emulation(Mode.NATIVE, "amd64", "test")
        said = self.run_inside(native, "mount -t tmpfs none /proc/irq", "choose(architecture='arm64')")
        assert "MachineError: arm64 programs cannot run here: refused: fresh /proc" in said

    def test_it_is_an_error_where_the_redirect_is_wanted(self) -> None:
        plain = replace(REDIRECT, mode=Mode.QEMU)
        said = self.run_inside(
            plain, "mount -t tmpfs none /proc/irq", "choose(architecture='arm64', wanted=EmulationChoice.REDIRECT)"
        )
        assert "MachineError: --emulation redirect does not work for arm64: refused: fresh /proc" in said

    def test_a_refused_registration_is_told(self) -> None:
        broken = replace(REDIRECT, mode=Mode.QEMU, qemu=Path("/none"))
        refused = run(command(broken, ["true"], rootfs=Path("/")), ok=(namespaces.REFUSED,))
        assert refused.stderr == "refused: registration with binfmt_misc: No such file or directory\n"

    def run_inside(self, outer: Emulation, forbid: str, statement: str) -> str:
        imports = "from builder.choices import EmulationChoice; from builder.rootfs.emulation import *"
        code = f"{imports}; from pathlib import Path; import subprocess; {statement}"
        inner = ["sh", "-ec", f'{forbid}; exec "$@" 2>&1', "sh", sys.executable, "-c", code]
        return run(command(outer, inner, rootfs=Path("/")), cwd=ROOT, ok=(0, 1)).stdout

    def try_program(self, tmp_path: Path) -> str:
        make_rootfs(tmp_path / "rootfs")
        return (
            f"e = choose(architecture='arm64'); rootfs = Path('{tmp_path}/rootfs'); "
            "print(subprocess.check_output(command(e, ['/bin/other'], rootfs=rootfs, chroot=True)).decode()[:5])"
        )


def make_rootfs(rootfs: Path) -> None:
    for name in ("proc", "sys", "dev", "bin"):
        (rootfs / name).mkdir(parents=True)
    for name in ("bin/tool", "bin/other", "usr/bin/dpkg", "usr/bin/dpkg-deb", "usr/bin/python3.13"):
        write_foreign(rootfs / name)
    (rootfs / "bin/alias").symlink_to("tool")


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    make_rootfs(tmp_path / "rootfs")
    return tmp_path / "rootfs"


@pytest.fixture
def redirect(tmp_path: Path) -> Emulation:
    """Twins for all programs of the rootfs but one."""
    tree = tmp_path / "twins"
    compile_twin(tree / "bin/tool")
    for name in ("usr/bin/dpkg", "usr/bin/dpkg-deb", "usr/bin/python3.13"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / "bin/tool", tree / name)
    (tree / "qemu").touch()
    return replace(REDIRECT, helper=emulation._make_helper(tmp_path), twins=tree)


@pytest.mark.machine
class TestRedirect:
    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (["/bin/tool"], "n/bin/"),
            (["/bin/alias"], "n/bin/"),
            (["/bin/other"], "e/bin/"),
            (["/usr/bin/dpkg", "--print-architecture"], "e/usr/"),
            (["/usr/bin/dpkg", "--compare-versions", "1", "lt", "2"], "n/usr/"),
            (["/usr/bin/dpkg-deb", "--info"], "n/usr/"),
            (["/usr/bin/python3.13", "-c", "import ssl"], "e/usr/"),
            (["/usr/bin/python3.13", "/usr/bin/py3compile", "-p", "x"], "n/usr/"),
        ],
        ids=" ".join,
    )
    def test_a_program_runs_as_its_twin_where_one_serves(
        self, rootfs: Path, redirect: Emulation, argv: list[str], said: str
    ) -> None:
        assert run(command(redirect, argv, rootfs=rootfs, chroot=True)).stdout[:6] == said

    def test_a_dpkg_that_knows_the_target_serves_every_call(self, rootfs: Path, redirect: Emulation) -> None:
        assert redirect.twins
        (redirect.twins / twins.TAUGHT).touch()
        argv = command(redirect, ["/usr/bin/dpkg", "--print-architecture"], rootfs=rootfs, chroot=True)
        assert run(argv).stdout[:6] == "n/usr/"

    def test_without_twins_all_is_emulated(self, rootfs: Path) -> None:
        plain = replace(REDIRECT, mode=Mode.QEMU)
        assert run(command(plain, ["/bin/tool"], rootfs=rootfs, chroot=True)).stdout[:1] == "e"

    def test_nothing_of_the_twins_is_left(self, rootfs: Path, redirect: Emulation) -> None:
        before = sorted(rootfs.rglob("*"))
        run(command(redirect, ["/bin/tool"], rootfs=rootfs, chroot=True))
        assert sorted(rootfs.rglob("*")) == before
        assert str(rootfs) not in Path("/proc/self/mountinfo").read_text()

    def test_twins_and_qemu_cannot_be_written(self, rootfs: Path, redirect: Emulation) -> None:
        place = rootfs / twins.PLACE
        script = f"! touch {place}/x && ! sh -c '>> {place}/qemu'"
        assert "Read-only" in run(command(redirect, ["sh", "-c", script], rootfs=rootfs)).stderr

    def test_the_missing_target_of_mmdebstrap_is_made(self, tmp_path: Path, redirect: Emulation) -> None:
        run(command(redirect, ["true"], rootfs=tmp_path / "new/target"))
        assert list((tmp_path / "new/target").iterdir()) == []
        assert "--skip=check/empty" in mmdebstrap_options(redirect)

    def test_what_keeps_the_mount_point_is_told(self, tmp_path: Path, redirect: Emulation) -> None:
        # Not /tmp: a directory with mounts below, as a Docker Engine may have there, cannot be bound without them.
        (tmp_path / "other").mkdir()
        script = f"mount --bind {tmp_path}/other {tmp_path}/target/{twins.PLACE}/usr"
        refused = run(command(redirect, ["sh", "-c", script], rootfs=tmp_path / "target"), ok=(namespaces.REFUSED,))
        assert refused.stderr == "refused: removal of the twins: Device or resource busy\n"


@pytest.mark.machine
class TestNamespaces:
    NATIVE = Emulation(Mode.NATIVE, "amd64", "test")

    @pytest.mark.parametrize(
        ("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143), ("exec /none", 127), ("exec /etc/passwd", 126)]
    )
    def test_the_exit_code_is_that_of_the_command(self, script: str, code: int) -> None:
        run(command(self.NATIVE, ["sh", "-c", script], rootfs=Path("/")), ok=(code,))

    def test_a_command_that_is_not_there_is_told(self) -> None:
        missing = run(command(self.NATIVE, ["/none"], rootfs=Path("/")), ok=(127,))
        assert missing.stderr == "/none: No such file or directory\n"

    @pytest.mark.parametrize("private", [False, True])
    def test_host_name_and_umask_are_the_same_everywhere(self, private: bool) -> None:
        emulated = REDIRECT if private else self.NATIVE
        before = os.umask(0o077)
        try:
            seen = run(command(emulated, ["sh", "-c", "uname -n; umask"], rootfs=Path("/"))).stdout
        finally:
            os.umask(before)
        assert seen == "localhost\n0022\n"

    @pytest.mark.parametrize("private", [False, True])
    @pytest.mark.parametrize("network", [True, False])
    def test_the_network_can_be_cut_off(self, private: bool, network: bool) -> None:
        emulated = REDIRECT if private else self.NATIVE
        here = str(Path("/proc/self/ns/net").readlink())
        argv = command(emulated, ["readlink", "/proc/self/ns/net"], rootfs=Path("/"), network=network)
        assert (run(argv).stdout.strip() == here) is network

    @pytest.mark.parametrize("private", [False, True])
    def test_no_device_node_can_be_made(self, tmp_path: Path, private: bool) -> None:
        emulated = REDIRECT if private else self.NATIVE
        run(command(emulated, ["mknod", tmp_path / "null", "c", "1", "3"], rootfs=Path("/")), ok=(1,))

    def test_processes_end_with_the_command(self) -> None:
        run(command(self.NATIVE, ["sh", "-c", f"sleep {SLEEP_S} >/dev/null 2>&1 &"], rootfs=Path("/")))
        assert not find_processes(SLEEP_S)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    @pytest.mark.parametrize("private", [False, True])
    def test_all_ends_when_the_supervisor_does(self, number: signal.Signals, private: bool) -> None:
        emulated = REDIRECT if private else self.NATIVE
        supervisor = subprocess.Popen(command(emulated, ["sleep", SLEEP_S], rootfs=Path("/")))
        wait_until(lambda: any(name == "sleep" for name in find_processes(SLEEP_S)), "nothing sleeps")
        supervisor.send_signal(number)
        assert supervisor.wait(timeout=60) == -number
        wait_until(lambda: not find_processes(SLEEP_S), "a process lives on")

    def test_mount_points_are_bound_in_the_rootfs(self, rootfs: Path, redirect: Emulation) -> None:
        (rootfs / "boot").mkdir()
        shutil.copytree(rootfs / "bin", rootfs.parent / "other")
        argv = command(redirect, ["/boot/other"], rootfs=rootfs, chroot=True, binds={"/boot": rootfs.parent / "other"})
        assert run(argv).stdout[:1] == "e"


def find_processes(argument: str) -> list[str]:
    """Names of the programs that have this argument."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if argument in words:
            found.append(words[0])
    return found


class TestPairs:
    """What apt answers is written here: these need neither network nor root."""

    def test_a_package_of_another_version_has_no_twin(self, tools: Path) -> None:
        rows = [("dash", "1-1"), ("sed", "2-1+b3"), ("tar", "1:3-2"), ("grep", "5-1+deb13u1")]
        policy = "".join(f"{name}:arm64:\n  Installed: (none)\n  Candidate: {version}\n" for name, version in rows)
        write_tool(tools / "apt-cache", f"printf '{policy}'".replace("\n", "\\n"))
        versions = {"dash": "1-1+b1", "sed": "2-1+b2", "tar": "3-2", "grep": "5-1", "gawk": "1"}
        assert pairs.find_paired(versions, "arm64", {}) == {"dash", "sed"}

    @pytest.mark.parametrize(("code", "taken"), [(0, "zstd=1.5-1"), (100, "zstd")])
    def test_the_version_that_both_have_is_taken(self, tools: Path, tmp_path: Path, code: int, taken: str) -> None:
        """amd64 has a security update that arm64 does not have yet; unless something else needs the newer one."""
        rows = {
            "zstd": ("1.5-1+deb13u1", "1.5-1"),
            "sed": ("2-1+b2",),
            "zstd:arm64": ("1.5-1",),
            "sed:arm64": ("2-1",),
        }
        text = ""
        for name, versions in rows.items():
            text += f"{name}:\n  Installed: (none)\n  Candidate: {versions[0]}\n  Version table:\n"
            text += "".join(f"     {each} 500\n        500 http://host trixie/main Packages\n" for each in versions)
        (tmp_path / "policy").write_text(text)
        lines = f'while IFS= read -r line; do echo "$line"; done < {tmp_path}/policy'
        write_tool(tools / "apt-cache", f'case $1 in policy) {lines} ;; *) echo "sed zstd tar" ;; esac')
        script = f'echo "$*" >> {tmp_path}/asked; case $* in *=*) exit {code} ;; esac; exit 0'
        write_tool(tools / "apt-get", script)
        pairs.find_versions(["zstd", "sed", "none"], "arm64", {})
        asked = (tmp_path / "asked").read_text().splitlines()
        assert asked[-1] == f"install --simulate sed {taken}"

    def test_an_archive_without_pairs_is_emulated(
        self, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("apt-get", "apt-cache"):
            write_tool(tools / name, "")
        prepared = prepare(REDIRECT, TRIXIE, cache=tmp_path / "cache")
        assert (prepared.mode, prepared.twins) == (Mode.QEMU, None)
        assert "trixie has no package in the same version for amd64" in capsys.readouterr().err

    def test_other_modes_prepare_nothing(self, tmp_path: Path) -> None:
        native = Emulation(Mode.NATIVE, "amd64", "test")
        assert prepare(native, TRIXIE, cache=tmp_path / "cache") is native
        assert not (tmp_path / "cache").exists()

    @pytest.mark.parametrize(("foreign", "taught"), [("arm64", True), ("riscv64", False)])
    def test_dpkg_is_taught_a_name_of_the_same_length(self, tmp_path: Path, foreign: str, taught: bool) -> None:
        programs = tmp_path / "usr/bin"
        templates, library = tmp_path / "usr/lib/apt/apt-extracttemplates", tmp_path / "libs/libapt-pkg.so.7.0.0"
        for path in (programs / "dpkg", programs / "dpkg-query", programs / "update-alternatives", templates, library):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\x7fELF\0amd64\0amd64-other\0")
        twins._teach_architecture(tmp_path, "amd64", foreign)
        assert (tmp_path / twins.TAUGHT).exists() == taught
        assert (programs / "dpkg-query").exists() == templates.exists() == taught
        expected = b"\x7fELF\0arm64\0amd64-other\0" if taught else b"\x7fELF\0amd64\0amd64-other\0"
        assert (programs / "dpkg").read_bytes() == expected
        assert not taught or library.read_bytes() == expected

    def test_a_path_in_a_program_keeps_its_length(self, tmp_path: Path) -> None:
        native = Architecture.AMD64
        program = tmp_path / "program"
        program.write_bytes(b"\x7fELF/lib64/ld-linux-x86-64.so.2\0/usr/lib/x86_64-linux-gnu/perl-base\0")
        twins._replace_paths(tmp_path, native)
        expected = b"\x7fELF/.boardwright-twins/ld.so\0\0\0/.boardwright-twins//libs/perl-base\0"
        assert program.read_bytes() == expected


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("twins")


@pytest.mark.machine
@pytest.mark.slow
class TestBuilds:
    """With the packages of the mirror."""

    @pytest.fixture
    def prepared(self, cache: Path) -> Emulation:
        return prepare(choose(architecture="arm64", wanted=EmulationChoice.REDIRECT), TRIXIE, cache=cache)

    def test_the_tree_has_twins_only_of_what_may_have_one(self, prepared: Emulation, cache: Path) -> None:
        tree = prepared.twins
        assert tree
        for name in ("dash", "perl", "gzip", "dpkg", "dpkg-deb", "dpkg-query", "localedef", "systemctl", "python3.13"):
            assert (tree / "usr/bin" / name).is_file()
        for name in ("uname", "arch", "su", "getent", "ssh", "systemd-detect-virt"):
            assert not (tree / "usr/bin" / name).exists()
        assert [path.name for path in cache.glob("*.part")] == []
        public = [path for path in tree.rglob("*") if path.is_file() and b"/usr/lib/x86_64" in read_elf(path)]
        assert public == []
        assert prepare(prepared, TRIXIE, cache=cache) == prepared

    def test_a_build_is_the_same_with_and_without_the_redirect(self, tmp_path: Path, prepared: Emulation) -> None:
        """The least that has scripts for sh and perl. `make bench` compares the layers of a whole board."""
        plain = choose(architecture="arm64", wanted=EmulationChoice.QEMU)
        fast, slow = (build(emulated, tmp_path / emulated.mode) for emulated in (prepared, plain))
        assert scan(fast) == scan(slow)
        machines = {struct.unpack("<H", head[18:20])[0] for path in fast.rglob("*") if (head := read_elf(path))}
        assert machines == {183}
        assert run(["dpkg", f"--root={fast}", "--audit"]).stdout == ""
        assert list((fast / "dev").iterdir()) == []

    def test_another_architecture_and_suite_have_twins_too(self, tmp_path: Path, cache: Path) -> None:
        sources = Sources("bookworm", TRIXIE.deb822.replace("trixie", "bookworm"))
        prepared = prepare(choose(architecture="armhf", wanted=EmulationChoice.REDIRECT), sources, cache=cache)
        assert prepared.twins
        tree = build(prepared, tmp_path / "tree", sources, names="mawk,adduser")
        machines = {struct.unpack("<H", head[18:20])[0] for path in tree.rglob("*") if (head := read_elf(path))}
        assert machines == {40}
        assert run(["dpkg", f"--root={tree}", "--audit"]).stdout == ""
        inside = command(prepared, ["dpkg", "--print-architecture"], rootfs=tree, chroot=True)
        assert run(inside).stdout == "armhf\n"
        assert not (tree / twins.PLACE).exists()


def build(emulated: Emulation, target: Path, sources: Sources = TRIXIE, *, names: str = "adduser,kmod") -> Path:
    argv = ["mmdebstrap", *mmdebstrap_options(emulated), "--variant=essential", f"--include={names}"]
    argv += ["--format=directory", sources.suite, str(target), "-"]
    run(command(emulated, argv, rootfs=target), stdin=sources.deb822.encode())
    return target


def read_elf(path: Path) -> bytes:
    """Content of an ELF file; nothing of any other."""
    if path.is_symlink() or not path.is_file():
        return b""
    content = path.read_bytes()
    return content if content.startswith(b"\x7fELF") else b""


def scan(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything of each file but its times."""
    return {str(path.relative_to(root)): describe(path) for path in sorted(root.rglob("*"))}


def describe(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    attributes = {
        name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
    }
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return (oct(status.st_mode), status.st_uid, status.st_gid, content, attributes)
