# SPDX-License-Identifier: MIT
"""The redirect: twins run in the place of foreign programs, and where the kernel refuses it, all run by QEMU."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.rootfs import namespaces, twins
from builder.rootfs.emulation import Emulation, Mode, command, mmdebstrap_options
from builder.system.process import run
from tests.conftest import ROOT
from tests.support.emulation import REDIRECT, make_rootfs


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
        output = self.run_inside(plain, forbid, f"print(choose(architecture='arm64')); {self.try_program(tmp_path)}")
        assert "<Mode.QEMU: 'qemu'>" in output
        assert "private=False" in output
        assert f"refused: {refused}" in output
        assert output.endswith("e/bin\n")
        assert "twelve times slower" in output

    def test_it_is_an_error_where_no_handler_is_registered(self) -> None:
        native = Emulation(Mode.NATIVE, "amd64", "test")
        output = self.run_inside(native, "mount -t tmpfs none /proc/irq", "choose(architecture='arm64')")
        assert "MachineError: arm64 programs cannot run here: refused: fresh /proc" in output

    def test_it_is_an_error_where_the_redirect_is_wanted(self) -> None:
        plain = replace(REDIRECT, mode=Mode.QEMU)
        output = self.run_inside(
            plain, "mount -t tmpfs none /proc/irq", "choose(architecture='arm64', wanted=EmulationChoice.REDIRECT)"
        )
        assert "MachineError: --emulation redirect does not work for arm64: refused: fresh /proc" in output

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


@pytest.mark.machine
class TestRedirect:
    @pytest.mark.parametrize(
        ("argv", "output"),
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
        self, rootfs: Path, redirect: Emulation, argv: list[str], output: str
    ) -> None:
        assert run(command(redirect, argv, rootfs=rootfs, chroot=True)).stdout[:6] == output

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
