# SPDX-License-Identifier: MIT
"""What one build is asked, handed to another process and read there; and that a new option needs no third place."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from builder.choices import Assembler, CacheMode, EmulationChoice, Engine, RootfsUse
from builder.compression import Compression
from builder.errors import RecipeError
from builder.net.location import Location
from builder.request import BuildRequest, load_request, make_request
from builder.verbs.build import build

WHOLE = BuildRequest(
    board="rpi",
    version="1.0",
    epoch=1,
    boards=Path("/boards"),
    state=Path("/state"),
    output=Path("/dist"),
    user_data=Path("/user-data"),
    engine=Engine.LOCAL,
    assembler=Assembler.LOOP,
    compress=Compression.XZ,
    emulation=EmulationChoice.QEMU,
    wait=False,
    rootfs=RootfsUse.NEVER,
    verify=False,
    max_size=5,
    cache="s3://bucket/prefix?endpoint=https://s3.example&region=eu",
    cache_mode=CacheMode.RO,
    have=("0" * 64,),
)


def test_another_process_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_bytes(WHOLE.render())
    assert load_request(path) == WHOLE


def test_every_field_of_the_example_has_another_value_than_without() -> None:
    """Or the test above would not see that a field gets lost."""
    least = WHOLE.model_validate_json(WHOLE.model_dump_json(include={*("board", "version", "epoch"), *PLACES}))
    same = {name for name in BuildRequest.model_fields if getattr(least, name) == getattr(WHOLE, name)}
    assert same == {"board", "version", "epoch", *PLACES}


PLACES = ("boards", "state", "output")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"engine": "podman"}, "engine: Input should be 'auto', 'docker' or 'local'"),
        ({"epoch": -1}, "epoch: Input should be greater than or equal to 0"),
        ({"boards": "boards"}, "boards: boards is not absolute"),
        ({"version": "a b"}, "version: found 'a b'; expected at most 100 letters"),
        ({"color": "red"}, "color: Extra inputs are not permitted"),
        ({"cache": "https://x"}, "cache: found 'https://x'; expected s3://BUCKET/PREFIX"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_request_that_is_none_is_refused_with_its_field(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({**json.loads(WHOLE.render()), **change}))
    with pytest.raises(RecipeError) as caught:
        load_request(path)
    assert caught.value.message.startswith(f"{path}: {problem}")


def test_the_shared_cache_is_that_of_the_url() -> None:
    assert WHOLE.shared_cache == Location("bucket", "prefix", "https://s3.example", "eu", writable=False)
    assert WHOLE.model_copy(update={"cache": ""}).shared_cache is None


def test_an_option_with_a_wrong_value_is_named() -> None:
    with pytest.raises(RecipeError, match=r"^--version: found 'a b'; expected at most 100 letters"):
        make_request(**{**dict(WHOLE), "version": "a b"})
    with pytest.raises(RecipeError, match=r"^--max-size: Input should be greater"):
        make_request(**{**dict(WHOLE), "max_size": -1})


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text("{")
    with pytest.raises(RecipeError, match="the file: Invalid JSON"):
        load_request(path)


def test_each_field_is_an_option_of_build() -> None:
    """The names that differ are those of options that say no to something."""
    options = set(inspect.signature(build).parameters)
    negated = {"wait": "no_wait", "verify": "no_verify", "rootfs": "no_cache"}
    fields = {negated.get(name, name) for name in BuildRequest.model_fields} - {"have"}
    assert fields <= options
    assert options - fields == {"everything", "jobs", "reuse_rootfs", "json", "verbose"}
