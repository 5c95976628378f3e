# SPDX-License-Identifier: MIT
"""What all tests share: the marks that say what a test needs, and the tools that are installed for them.

On a Debian-like machine where we are root, what the selected tests need is installed first, after saying so.
Elsewhere a test whose needs are not met is skipped with the reason, or fails where BOARDWRIGHT_NO_SKIPS is set: a
machine that must run everything does not pass by running less.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from builder import log
from builder.engine.docker.builder_image import make_builder_image
from builder.engine.docker.connect import open_engine
from builder.errors import MachineError
from builder.system.process import run
from builder.system.signals import never_lost
from builder.system.tools import DEBIAN_PACKAGES
from tests.support.bucket import ENVIRONMENT, Bucket, serve_bucket
from tests.support.groups import GroupScheduling, find_group, rank
from tests.support.log import Heard
from tests.support.packages import PACKAGES, find_missing

pytest_plugins = ["tests.support.packaged_fixtures"]
ROOT = Path(__file__).resolve().parents[1]

NODE = 20
"""The oldest Node.js that the programs of tests/ci/package.json run on."""

_lacking: dict[str, str] = {}


def pytest_configure() -> None:
    """Take SIGINT, which a shell lets the programs ignore that it starts in the background: some tests send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Give each worker whole groups of tests (tests/support/groups.py)."""
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only a whole run does; sort the groups that take longest to the front, where several workers take
    them."""
    if not os.environ.get("BOARDWRIGHT_WHOLE"):
        left_out = [item for item in items if item.get_closest_marker("whole")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(find_group(item.nodeid)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find out, once, what each mark among the selected tests lacks."""
    items = session.items
    marks = {mark.name for item in items for mark in item.iter_markers()} & set(PACKAGES)
    if marks and _may_install():
        _install({package for mark in marks for package in PACKAGES[mark]})
    for mark in marks:
        _lacking[mark] = _find_lack(mark)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test whose machine lacks what it needs."""
    for mark in item.iter_markers():
        reason = _lacking.get(mark.name)
        if reason and os.environ.get("BOARDWRIGHT_NO_SKIPS"):
            pytest.fail(reason)
        elif reason:
            pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> Iterator[None]:
    """Let tests interrupt themselves: hypothesis has a callback in the garbage collector, where Python ignores it."""
    with never_lost():
        yield


@pytest.fixture(scope="session")
def builder_image() -> str:
    """The name of the builder image; of several workers the first makes it."""
    with _alone("builder-image"), open_engine() as api:
        return make_builder_image(api)


@pytest.fixture
def heard() -> Iterator[Heard]:
    """The log of a test, as events."""
    sink = Heard()
    with log.use(sink):
        yield sink


@pytest.fixture
def aws_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test the environment of a user with credentials, and nothing of the machine that it runs on."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[Bucket]:
    """A server for the tests of a module; `bucket` is what a test asks for."""
    with serve_bucket() as served:
        yield served


@pytest.fixture
def bucket(bucket_server: Bucket, aws_user: None) -> Iterator[Bucket]:
    """An empty bucket behind a door that behaves, and a user who may write to it."""
    yield bucket_server
    bucket_server.reset()


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install(packages: Collection[str]) -> None:
    """Install packages; of several workers the first does it."""
    with _alone("apt"):
        if missing := find_missing(packages):
            log.note(f"installing with apt-get for the tests: {' '.join(missing)}")
            run(["apt-get", "update", "-qq"])
            run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing])


@contextmanager
def _alone(work: str) -> Iterator[None]:
    """Keep other workers, and other runs, from doing the same work at the same time."""
    with (Path(tempfile.gettempdir()) / f"boardwright-tests-{work}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find_lack(mark: str) -> str:
    if mark == "engine":
        try:
            with open_engine():
                return ""
        except MachineError as error:
            return error.message
    if mark in ("ci", "node") and (lack := _find_node_lack()):
        return lack
    if mark == "machine" and os.geteuid() != 0:
        return "needs root"
    tools = [tool for tool, package in DEBIAN_PACKAGES.items() if package in PACKAGES[mark]]
    missing = [tool for tool in tools if not shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
    return f"not on this machine: {', '.join(missing)}" if missing else ""


def _find_node_lack() -> str:
    missing = [name for name in ("node", "npm", "rsync", "shellcheck") if not shutil.which(name)]
    if missing:
        return f"not on this machine: {', '.join(missing)}"
    version = run(["node", "--version"]).stdout.strip()
    return "" if int(version.removeprefix("v").split(".")[0]) >= NODE else f"needs Node.js {NODE}; this is {version}"
