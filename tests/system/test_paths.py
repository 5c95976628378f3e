# SPDX-License-Identifier: MIT
"""Paths in a tree that is not ours never lead out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.errors import RecipeError
from builder.system.paths import MAX_LINKS, resolve_inside, write_text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/usr/lib").mkdir(parents=True)
    (tmp_path / "root/etc").mkdir()
    (tmp_path / "outside").write_text("untouched\n")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("link", "target", "asked", "found"),
    [
        ("lib", "usr/lib", "/lib/x", "usr/lib/x"),
        ("lib", "/usr/lib", "/lib/x", "usr/lib/x"),
        ("etc/here", ".", "/etc/here/x", "etc/x"),
        ("etc/up", "..", "etc/up/etc/x", "etc/x"),
        ("etc/far", "../../../../../outside", "/etc/far", "outside"),
        ("etc/top", "/", "/etc/top/x", "x"),
        ("usr/lib/mtab", "/proc/self/mounts", "/usr/lib/mtab", "proc/self/mounts"),
        ("etc/dangling", "nothing/there", "/etc/dangling/x", "etc/nothing/there/x"),
        ("etc/one", "two", "/etc/../etc/./one", "etc/two"),
    ],
)
def test_links_are_followed_as_the_booted_system_would(
    root: Path, link: str, target: str, asked: str, found: str
) -> None:
    (root / link).symlink_to(target)
    assert resolve_inside(root, asked) == root / found


@pytest.mark.parametrize("asked", ["..", "/..", "../../outside", "/etc/../../outside", "etc/../../../outside"])
def test_dots_do_not_lead_out(root: Path, asked: str) -> None:
    assert resolve_inside(root, asked).is_relative_to(root)


def test_chains_of_links(root: Path) -> None:
    for number in range(MAX_LINKS):
        (root / f"link{number}").symlink_to(f"/link{number + 1}")
    assert resolve_inside(root, "/link0") == root / f"link{MAX_LINKS}"
    (root / f"link{MAX_LINKS}").symlink_to("/end")
    with pytest.raises(RecipeError, match="/link0: too many symbolic links"):
        resolve_inside(root, "/link0")


def test_loops(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("/a")
    with pytest.raises(RecipeError, match="too many symbolic links") as caught:
        write_text(root, "/a/file", "")
    assert str(root) in caught.value.hint


STEPS = st.sampled_from(["a", "b", "c", ".", ".."])
PATHS = st.builds(
    lambda absolute, steps: ("/" if absolute else "") + "/".join(steps),
    st.booleans(),
    st.lists(STEPS, min_size=1, max_size=5),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(links=st.dictionaries(st.sampled_from(["a", "b", "c", "d/a", "d/b"]), PATHS), asked=PATHS)
def test_nothing_leads_out(tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], asked: str) -> None:
    root = tmp_path_factory.mktemp("tree") / "root"
    (root / "d").mkdir(parents=True)
    for link, target in links.items():
        (root / link).symlink_to(target)
    try:
        found = resolve_inside(root, asked)
    except RecipeError:
        return
    assert found.is_relative_to(root)
    assert ".." not in found.relative_to(root).parts
    assert not found.is_symlink()


def test_text_is_written_where_the_system_would_read_it(root: Path) -> None:
    (root / "etc/os-release").symlink_to("/usr/lib/os-release")
    written = write_text(root, "/etc/os-release", "ID=x\n", mode=0o640)
    assert written == root / "usr/lib/os-release"
    assert (written.read_text(), written.stat().st_mode & 0o777) == ("ID=x\n", 0o640)


def test_text_makes_its_directories(root: Path) -> None:
    written = write_text(root, "/etc/a/b/c", "ö\n")
    assert (written.read_bytes(), written.stat().st_mode & 0o777) == ("ö\n".encode(), 0o644)


def test_text_never_leaves_the_tree(root: Path) -> None:
    (root / "etc/out").symlink_to("../../outside")
    (root / "etc/direct").symlink_to(root.parent / "outside")
    write_text(root, "/etc/out", "changed\n")
    write_text(root, "/etc/direct", "changed\n")
    assert (root.parent / "outside").read_text() == "untouched\n"
