# SPDX-License-Identifier: MIT
"""The request of one build: all options of `boardwright build` for one board, as one frozen value.

A child process or a container gets it as JSON and runs it with `boardwright run FILE`. A new option is a field here
and a parameter of `builder/verbs/build.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from builder.cache.usage import CACHE_BYTES
from builder.choices import Assembler, CacheMode, EmulationChoice, Engine, RootfsUse
from builder.compression import Compression
from builder.errors import RecipeError
from builder.net.location import Location, load_location
from builder.plan.make import make_plan
from builder.plan.model import Plan
from builder.recipe.described import explain, load_described
from builder.recipe.load import load_board
from builder.recipe.values import BoardName, FrozenModel, Sha256, Version, text
from builder.system.files import read_bytes
from builder.units import MIB


def _check_absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{path} is not absolute")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_check_absolute)]
"""A child process has another working directory."""
CacheUrl = Annotated[str, text(r"^(s3://[^\s\x00-\x1f\x7f]+)?$", "s3://BUCKET/PREFIX", max_length=4096)]


class BuildRequest(FrozenModel):
    """One build of one board."""

    board: BoardName
    version: Version
    epoch: int = Field(ge=0, lt=1 << 32)
    """SOURCE_DATE_EPOCH, in seconds since 1970."""
    boards: AbsolutePath
    """Directory of all boards, because boards extend each other."""
    state: AbsolutePath
    """Directory for work in progress, journals and caches."""
    output: AbsolutePath
    """Directory for finished artefacts."""
    user_data: AbsolutePath | None = None
    """File with cloud-init user-data for the image."""
    engine: Engine = Engine.AUTO
    assembler: Assembler = Assembler.AUTO
    compress: Compression = Compression.ZST
    emulation: EmulationChoice = EmulationChoice.AUTO
    wait: bool = True
    """Wait for another build of the same board; False: raise BusyError."""
    rootfs: RootfsUse = RootfsUse.CURRENT
    verify: bool = True
    """Run the specs on the image, and hand out none that fails one."""
    max_size: int = Field(default=CACHE_BYTES, ge=0, lt=1 << 63)
    """Bytes that the caches may hold after the build."""
    cache: CacheUrl = ""
    """The cache that machines share; "" for none."""
    cache_mode: CacheMode = CacheMode.RW
    have: tuple[Sha256, ...] = ()
    """SHA-256 of artefacts that need not be handed out: the caller has them already."""

    @property
    def shared_cache(self) -> Location | None:
        """The cache that machines share."""
        return load_location(self.cache, self.cache_mode)

    def make_plan(self) -> Plan:
        """Return the plan of the board; RecipeError with all its mistakes."""
        board = load_board(self.boards, self.board)
        return make_plan(board, version=self.version, epoch=self.epoch, user_data=self.user_data)

    def render(self) -> bytes:
        """Return the request as JSON for `load_request`."""
        return self.model_dump_json(indent=2).encode()


def make_request(**fields: Any) -> BuildRequest:
    """Return a request of these fields; RecipeError that names the option of the first field with a wrong value."""
    try:
        return BuildRequest(**fields)
    except ValidationError as error:
        field, _, problem = explain(error).partition(":")
        raise RecipeError(f"--{field.replace('_', '-')}:{problem}", hint="boardwright build --help") from None


def load_request(path: Path) -> BuildRequest:
    """Return the request in a file; RecipeError for a file that is not one."""
    hint = "`boardwright run` is called by `boardwright build` of the same version; call that"
    return load_described(BuildRequest, read_bytes(path, limit=MIB), path, error=RecipeError, hint=hint)
