# SPDX-License-Identifier: MIT
"""What only an unpacked system can show: builds over it again, failures on the way, and the words of its own APT."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.choices import RootfsUse
from builder.errors import BoardwrightError, DownloadError, RecipeError, ToolError, TrustError
from builder.rootfs import emulation as emulate
from builder.rootfs.apt.errors import explain
from builder.rootfs.installed import read_packages
from builder.rootfs.model import Rootfs
from builder.rootfs.stored_tree import StoredTree, open_rootfs
from builder.system.process import run
from builder.system.workspace import open_workspace
from tests.support.archive import Archive, build_deb
from tests.support.keys import OpenPgpKey
from tests.support.recipes import write_board
from tests.support.rootfs_boards import EPOCH, plan_board
from tests.support.rootfs_system import MadeRootfs, take_rootfs

pytestmark = [pytest.mark.machine, pytest.mark.slow]

Trees = list[tuple[object, ...]]
Remake = Callable[..., tuple[StoredTree, Trees]]

FAKE = """\
#!/bin/sh
# Stands for mmdebstrap: the tree is there already, on the second call below the target too. That is the last argument
# but one. Links will do: nothing but times is changed in the lowest layer, and what lies on it is kept by overlayfs.
while [ $# -gt 2 ]; do shift; done
[ -e "$1/etc" ] || cp --archive --link {tree}/. "$1/"
"""


@pytest.fixture(scope="session")
def template(made: MadeRootfs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the system that is really built, whose files are never written into, but get other times."""
    directory = tmp_path_factory.mktemp("template")
    run(["cp", "--archive", f"{made.root}/.", directory])
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def remake(made: MadeRootfs, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remake:
    """Make the system of a child of the board from the packages that are there."""
    tool = tmp_path / "bin/mmdebstrap"
    tool.parent.mkdir()
    tool.write_text(FAKE.format(tree=template))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    child = made.boards / "child"
    shutil.rmtree(child, ignore_errors=True)

    def call(extra: str = "", *, script: str = "", deb: Path | None = None) -> tuple[StoredTree, Trees]:
        kernel = f"debs: [{{file: {deb.name}}}]" if deb else "packages: [linux-tiny], debs: []"
        # The user is in the tree already.
        write_board(made.boards, "child", f"extends: board\nusers: {{pirate: null}}\nkernel: {{{kernel}}}\n{extra}")
        if deb:
            shutil.copyfile(deb, child / deb.name)
        if script:
            (child / "customise.sh").write_text(script)
        with open_workspace(tmp_path / "state", "child") as workspace:
            plan = plan_board(made.boards, "child")
            kept = take_rootfs(plan, workspace, cache=made.state / "cache", use=RootfsUse.NEVER)
            with open_rootfs(kept, made.state / "cache/layers", workspace) as rootfs:
                return kept, list_trees(rootfs)

    return call


def list_trees(rootfs: Rootfs) -> Trees:
    """Everything an image takes of the trees."""
    return [
        (mount, path.relative_to(tree).as_posix(), *_describe(path))
        for mount, tree in rootfs.trees.items()
        for path in sorted(tree.rglob("*"))
    ]


def _describe(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
    return status.st_mode, status.st_uid, status.st_gid, min(int(status.st_mtime), EPOCH), content


def test_the_same_plan_gives_the_same_trees(remake: Remake) -> None:
    _, first = remake(script="date > /dev/null\n")
    _, second = remake(script="date > /dev/null\n")
    assert [ours for ours, theirs in zip(first, second, strict=True) if ours != theirs] == []


@pytest.mark.parametrize(
    ("extra", "script", "kind", "words"),
    [
        ("timezone: Europe/Nowhere", "", RecipeError, "timezone Europe/Nowhere is not one"),
        ("", "echo before\nfalse\necho after\n", ToolError, "customise.sh"),
        ("boot: {method: raspi}", "", RecipeError, "z50-raspi-firmware, which the image lacks"),
        ("units: {nosuch.service: enabled}", "", RecipeError, "nosuch.service"),
    ],
)
def test_the_last_rootfs_stays_when_the_next_fails(
    remake: Remake, extra: str, script: str, kind: type[BoardwrightError], words: str
) -> None:
    kept, _ = remake()
    mark = kept.directory / "tree/etc/mark"
    mark.touch()
    with pytest.raises(kind, match=words):
        remake(extra, script=script)
    assert mark.exists()
    assert sorted(path.name for path in kept.directory.parent.iterdir()) == ["build.log", "rootfs"]


def test_a_kernel_that_cannot_be_configured(remake: Remake, tmp_path: Path) -> None:
    scripts = {"postinst": "#!/bin/sh\necho no such luck >&2\nexit 3\n"}
    deb = build_deb(tmp_path, "unlucky", "1.0", files={}, scripts=scripts)
    with pytest.raises(ToolError, match=r"(?s)dpkg ended with exit code 1.*no such luck"):
        remake(deb=deb)


def test_a_kernel_that_needs_more_than_there_is(remake: Remake, tmp_path: Path) -> None:
    deb = build_deb(tmp_path, "needy", "1.0", files={}, fields="Depends: nosuch\n")
    with pytest.raises(ToolError, match="needy depends on nosuch"):
        remake(deb=deb)


def test_packages_left_half_installed(tmp_path: Path) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    entry = "Package: {}\nStatus: install ok {}\nArchitecture: all\nVersion: 1\nMaintainer: x\nDescription: x\n"
    good = [entry.format("good", "installed"), entry.format("gone", "config-files")]
    status.write_text("\n".join(good))
    assert [(one.name, one.size_kib) for one in read_packages(tmp_path)] == [("good", 0)]
    status.write_text("\n".join([*good, entry.format("bad", "half-configured"), entry.format("worse", "unpacked")]))
    with pytest.raises(RecipeError, match="half installed: bad, worse"):
        read_packages(tmp_path)


def test_an_archive_without_the_package(made: MadeRootfs, tmp_path: Path) -> None:
    write_board(made.boards, "wanting", "extends: board\npackages: {more: [nosuch-tool]}\n")
    plan = plan_board(made.boards, "wanting")
    words = r"boards/wanting: no package nosuch-tool \(asked for by `packages.more`\) for"
    with pytest.raises(RecipeError, match=words) as caught, open_workspace(tmp_path, "wanting") as workspace:
        take_rootfs(plan, workspace, cache=made.state / "cache")
    assert "archives" in caught.value.hint
    assert sorted(path.name for path in (tmp_path / "rooms/wanting").iterdir()) == ["build.log"]


# the words of the APT in the image, which a build on a newer machine would hear


@pytest.fixture
def ask_apt(made: MadeRootfs, tmp_path: Path, signer: OpenPgpKey) -> Callable[..., BoardwrightError]:
    """Install a package from an archive by the image's own APT, and explain its output."""
    signer.write_public(tmp_path / "apt/key.asc")
    how = emulate.choose(architecture=made.plan.recipe.architecture)
    (tmp_path / "apt/lists/partial").mkdir(parents=True)
    (tmp_path / "apt/cache/archives/partial").mkdir(parents=True)
    places = {"Dir::State::lists": "lists", "Dir::Cache": "cache", "Dir::Etc::sourcelist": "test.sources"}

    def call(url: str, *packages: str) -> BoardwrightError:
        stanza = f"Types: deb\nURIs: {url}\nSuites: trixie\nComponents: main\nSigned-By: /mnt/key.asc\n"
        (tmp_path / "apt/test.sources").write_text(stanza)
        set_places = [f"--option={name}=/mnt/{place}" for name, place in places.items()]
        options = [*set_places, "--option=Dir::Etc::sourceparts=/dev/null", "--option=Acquire::Retries=0"]
        for words in (["update", "--error-on=any"], ["install", "--yes", "--download-only", *packages]):
            argv = ["apt-get", *words, *options]
            command = emulate.command(how, argv, rootfs=made.root, chroot=True, binds={"/mnt": tmp_path / "apt"})
            result = run(command, ok=range(256))
            if result.code:
                return explain(result, made.plan, tmp_path / "build.log", name="apt-get")
        raise AssertionError("nothing was refused")

    return call


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [
        ("stranger", TrustError, "Missing key"),
        ("unsigned", TrustError, "is not signed"),
        ("altered release", TrustError, "Message has been manipulated"),
        ("altered package", TrustError, "Hash Sum mismatch"),
        ("missing package", DownloadError, "404 "),
        ("unknown", RecipeError, "no package nosuch"),
    ],
)
def test_words_of_the_images_apt(
    make_archive: Callable[[], Archive],
    ask_apt: Callable[..., BoardwrightError],
    stranger: OpenPgpKey,
    case: str,
    kind: type[BoardwrightError],
    words: str,
) -> None:
    archive = make_archive()
    deb = archive.add("tool")
    archive.publish(signer=stranger if case == "stranger" else None, signed=case != "unsigned")
    if case == "altered release":
        release = archive.directory / "dists/trixie/InRelease"
        release.write_text(release.read_text().replace("Origin: Test", "Origin: Tent"))
    if case == "altered package":
        deb.write_bytes(deb.read_bytes()[:-1] + b"x")
    if case == "missing package":
        deb.unlink()
    error = ask_apt(archive.url, "nosuch" if case == "unknown" else "tool")
    assert (type(error), words in error.message) == (kind, True), error.message
