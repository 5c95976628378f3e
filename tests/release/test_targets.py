# SPDX-License-Identifier: MIT
"""What a new kind of target costs: a module with a publisher, and a row in builder/release/targets.py."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

from builder.release.targets import TargetKind, TargetModule
from tests.support.one_row import ask_with_row

ROW = '    MEMORY = ("memory", TargetRow("memory:NAME", "memory", has_url=True))\n'
MODULE = '''\
"""Publish releases in the memory of the process, for a test."""

from __future__ import annotations

from dataclasses import dataclass

from builder.errors import RecipeError
from builder.packaging.model import Release, load_channel, load_release, render
from builder.release.channels import merge
from builder.release.target import ChannelChoice, PlannedUpload, Previous, Publisher, PublisherConfig, ReleaseContent

STORES: dict[str, dict[str, bytes]] = {}


@dataclass
class MemoryPublisher:
    """A publisher for one store."""

    store: str
    config: PublisherConfig
    tag: str = ""

    @property
    def name(self) -> str:
        return f"memory:{self.store}"

    @property
    def files(self) -> dict[str, bytes]:
        return STORES.setdefault(self.store, {})

    def look(self, release_content: ReleaseContent) -> list[PlannedUpload]:
        self.tag = release_content.tag.text
        return [
            PlannedUpload(
                item.file.name,
                item.file.size_bytes,
                "there" if f"{self.tag}/{item.file.name}" in self.files else "send",
            )
            for item in release_content.items
        ]

    def find_release(self) -> Release | None:
        content = self.files.get(f"{self.tag}/release.json")
        return load_release(content, self.name) if content else None

    def find_previous(self, choice: ChannelChoice) -> Previous | None:
        return None

    def send(self, release_content: ReleaseContent, release: Release) -> None:
        assert f"{self.tag}/release.json" not in self.files or self.find_release() == release
        for item in release_content.items:
            self.files.setdefault(f"{self.tag}/{item.file.name}", item.path.read_bytes())

    def publish(self, release: Release, choice: ChannelChoice) -> str:
        self.files.setdefault(f"{self.tag}/release.json", render(release))
        return f"{self.config.url or self.name}/{self.tag}"

    def point(self, release: Release, choice: ChannelChoice) -> None:
        for name in choice.channels:
            before = self.files.get(f"channels/{name}")
            channel = load_channel(before, self.name) if before else None
            self.files[f"channels/{name}"] = render(merge(name, channel, release, back=choice.back))


def make_publisher(text: str, config: PublisherConfig) -> Publisher:
    store = text.removeprefix("memory:")
    if not store:
        raise RecipeError("--to: found 'memory:'; expected memory:NAME", hint="add a name, such as memory:a")
    return MemoryPublisher(store, config)
'''

PROBE = """
import json
import sys
from importlib import import_module
from pathlib import Path

import builder
from builder.packaging.model import load_channel, load_release
from builder.verbs import release as verb
from tests.support.ci_repository import call
from tests.support.packaged import collect_files, make_package
from tests.test_cli import check_error

assert Path(builder.__file__).is_relative_to(sys.argv[1]), "it is the copy"
scratch = Path(sys.argv[2])
verb.collect = collect_files
for version in ("1.0", "0.9"):
    make_package(scratch / version, "rpi", version)


def release(tag, *words):
    options = ("--packaged", tag.removeprefix("v"), "--board", "rpi", "--to", "memory:a")
    return call("release", tag, *options, *words, cwd=scratch, COLUMNS="200")


def result(*words):
    done = release(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["data"]


def channel(name):
    return load_channel(memory.STORES["a"][f"channels/{name}"], "").release.tag


text = call("release", "--help", COLUMNS="200").stdout
assert "github:OWNER/REPO, s3://BUCKET/PREFIX, memory:NAME or dir:PATH; can be" in text
assert "--to s3://, memory: or dir: https" in text
assert "builder.release.memory" not in sys.modules
check_error(release("v1.0", "--to", "ftp:x"), 3, "s3://BUCKET/PREFIX, memory:NAME or dir:PATH")
check_error(release("v1.0", "--to", "memory"), 3, "found 'memory'; expected github:OWNER/REPO")
check_error(release("v1.0", "--to", "memory:"), 3, "expected memory:NAME")

done = release("v1.0", "--dry-run")
assert done.returncode == 0, done.stderr
rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
assert "memory:a boardwright-rpi-1.0.img.xz 2.9 KiB would be uploaded" in rows and len(rows) == 1 + 5
assert "would update the channels stable, latest" in done.stderr
memory = import_module("builder.release.memory")
assert not memory.STORES["a"]

done = release("v1.0", "--public-url", "https://x.example")
assert (done.returncode, done.stdout) == (0, "https://x.example/v1.0\\n"), done.stderr
assert list(load_release(memory.STORES["a"]["v1.0/release.json"], "").boards) == ["rpi"]
assert memory.STORES["a"]["v1.0/boardwright-rpi-1.0.img.xz"] == next(scratch.glob("1.0/*/*.xz")).read_bytes()
assert channel("stable") == channel("latest") == "v1.0"

before = dict(memory.STORES["a"])
again = result("v1.0", "--public-url", "https://x.example", "--to", f"dir:{scratch}/public", "--to", "memory:a")
assert [target["target"] for target in again["targets"]] == ["memory:a", f"dir:{scratch}/public"], "order of the rows"
actions = [{file["what"] for file in target["files"]} for target in again["targets"]]
assert actions == [{"there"}, {"send"}]
assert memory.STORES["a"] == before
assert (scratch / "public/v1.0/release.json").read_bytes() == before["v1.0/release.json"], "the public one counts"

result("v0.9", "--channel", "stable", "--channel", "beta")
assert (channel("stable"), channel("beta")) == ("v1.0", "v0.9"), "a fix of an old version moves no channel back"
assert result("v0.9", "--channel", "stable", "--back")["channels"] == ["stable"]
assert (channel("stable"), channel("latest")) == ("v0.9", "v1.0")

(scratch / "other").mkdir()
make_package(scratch / "other/1.0", "rpi", seed="other")
done = call("release", "v1.0", "--packaged", "other/1.0", "--board", "rpi", "--to", "memory:a", cwd=scratch)
check_error(done, 11, "v1.0 is published at memory:a already, with other images: rpi")
assert {"builder.release.bucket", "builder.release.github"}.isdisjoint(sys.modules), "a module is imported when used"
"""


def test_a_new_kind_of_target_is_one_row_and_a_module(tmp_path: Path) -> None:
    ask_with_row("release/targets.py", "    DIR = ", ROW, PROBE, tmp_path, {"release/memory.py": MODULE})


@pytest.mark.parametrize("kind", TargetKind)
def test_a_row_is_whole(kind: TargetKind) -> None:
    row = kind.row
    assert TargetKind(kind.value) is kind
    assert row.address.startswith(row.prefix)
    assert row.prefix.partition(":")[:2] == (kind.value, ":")
    make = import_module(f"builder.release.{row.module}").make_publisher
    wanted = signature(TargetModule.make_publisher)
    assert list(signature(make).parameters.values()) == list(wanted.parameters.values())[1:]
    assert signature(make).return_annotation == wanted.return_annotation
