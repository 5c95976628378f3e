# SPDX-License-Identifier: MIT
"""Publish releases of a GitHub repository.

Files are uploaded to a draft, which is not public. When it is complete, it is published in one step. An existing draft
is continued: one of a failed run, or one that a person made with notes. A public release that lacks our files (a person
made it to create the tag) gets them. A public release with other files of ours is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from builder import log
from builder.errors import RecipeError, ReleaseError
from builder.net.retry import TemporaryError, retry
from builder.packaging.model import RELEASE_NAME, PackagedFile, Release, load_release, render
from builder.packaging.tag import find_tag
from builder.release.channels import STABLE
from builder.release.file_tree import find_before
from builder.release.github_api import RETRIES, AlreadyExistsError, Api, load_server
from builder.release.github_assets import Assets
from builder.release.github_model import ApiRepository, FoundRelease, GitRef
from builder.release.target import (
    ChannelChoice,
    PlannedUpload,
    Previous,
    Publisher,
    PublisherConfig,
    ReleaseContent,
    What,
)
from builder.system.checksums import sha256_bytes
from builder.units import GIB, render_size

REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
LARGEST_BYTES = 2 * GIB - 1
"""GitHub takes files below 2 GiB (docs.github.com, About releases)."""
LONGEST_NOTES = 120_000
"""Maximum number of characters; GitHub allows 125,000."""
MARK = "<!-- made by boardwright; what stands above stays -->"
LISTING = ".packages"


@dataclass
class GitHubPublisher:
    """A publisher for one repository."""

    api: Api
    repository: str
    """"owner/name"."""
    tag_object: str = ""
    """Id of the tag in the local checkout (of its commit, or of an annotated tag); empty if not known."""
    _content: ReleaseContent | None = field(default=None, init=False)
    _releases: list[FoundRelease] = field(default_factory=list, init=False)
    _release: FoundRelease | None = field(default=None, init=False)
    """The release of the tag, draft or public, or None."""
    _twins: list[FoundRelease] = field(default_factory=list, init=False)
    """More drafts of ours with the same tag, made by parallel runs."""
    _assets: Assets | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        return f"github:{self.repository}"

    def look(self, release_content: ReleaseContent) -> list[PlannedUpload]:
        self._content = release_content
        _check_sizes(release_content)
        self._check_repository(release_content.tag.text)
        self._find(release_content.tag.text)
        if self._is_public and (stale := self._find_stale()):
            raise self._differs(stale[0], "is not part of this release")
        return [
            PlannedUpload(item.file.name, item.file.size_bytes, self._decide(item.file))
            for item in release_content.items
        ]

    def find_release(self) -> Release | None:
        assert self._assets
        if not self._is_public or RELEASE_NAME not in self._assets.all:
            return None
        return load_release(self._assets.read(RELEASE_NAME), f"{self.name} {RELEASE_NAME}")

    def find_previous(self, choice: ChannelChoice) -> Previous | None:
        assert self._content
        public = {release.tag_name: release for release in self._releases if not release.draft}
        tag = find_before(self._content.tag, list(public))
        if not tag:
            return None
        assets = Assets(self.api, self.repository, public[tag])
        release = None
        if RELEASE_NAME in assets.all:
            release = load_release(assets.read(RELEASE_NAME), f"{self.name} {tag} {RELEASE_NAME}")
        listings = {image.board: _find_listing(image.board, release, assets) for image in self._content.checked}
        packages = {board: assets.read(name).decode(errors="replace") for board, name in listings.items() if name}
        return Previous(tag, release, packages)

    def send(self, release_content: ReleaseContent, release: Release) -> None:
        content = render(release)
        release_file = PackagedFile(
            name=RELEASE_NAME, role="other", size_bytes=len(content), sha256=sha256_bytes(content)
        )
        sources: dict[str, Path | bytes] = {item.file.name: item.path for item in release_content.items}
        sources[RELEASE_NAME] = content
        files = [*(item.file for item in release_content.items), release_file]
        if self._release is None:
            retry(self.api.policy, self.name, partial(self._make_draft, release))
        assert self._assets
        missing = [file for file in files if not self._assets.has(file)]
        if not missing:
            return
        size = render_size(sum(file.size_bytes for file in missing))
        with log.step(f"send {len(missing)} of {len(files)} files ({size}) to {self.name}"):
            self._clear()
            for file in missing:
                with log.step(f"send {file.name}"):
                    self._assets.send(file, sources[file.name])
            self._assets.check(files)

    def publish(self, release: Release, choice: ChannelChoice) -> str:
        assert self._release
        body = self._release.body or ""
        if not self._is_public or MARK not in body or choice.back:
            is_latest = STABLE in choice.channels and (choice.back or not self._is_behind(release))
            fields = {
                "tag_name": release.tag,
                "name": self._release.name or release.tag,
                "body": _join(body, release.notes),
                "prerelease": release.prerelease,
                "draft": False,
                "make_latest": "true" if is_latest else "false",
            }
            self._release = self.api.change(self._path(f"releases/{self._release.id}"), fields, FoundRelease)
        return self._release.html_url

    def point(self, release: Release, choice: ChannelChoice) -> None:
        """Do nothing: `publish` sets GitHub's only channel, its latest release."""

    @property
    def _is_public(self) -> bool:
        return self._release is not None and not self._release.draft

    def _check_repository(self, tag: str) -> None:
        """Check that the repository and the tag exist. GitHub would create a missing tag, at the newest commit."""
        repository = self.api.get(f"/repos/{self.repository}", ApiRepository)
        if repository is None:
            raise ReleaseError(
                f"{self.api.server.web} has no repository {self.repository}, or the token has no access to it",
                hint="check the name, and the permissions of GITHUB_TOKEN",
            )
        self.repository = repository.full_name  # After a rename: redirects lose the body of a request.
        ref = self.api.get(self._path(f"git/ref/{quote(f'tags/{tag}', safe='')}"), GitRef)
        if ref is None:
            raise ReleaseError(f"{self.name} has no tag {tag}", hint=f"push the tag: git push origin {tag}")
        if self.tag_object and ref.object.sha != self.tag_object:
            remote, local = ref.object.sha[:12], self.tag_object[:12]
            hint = f"git fetch --tags --force, or git push origin {tag}"
            message = f"tag {tag}: found {remote} at {self.name}; expected {local}, as in the local checkout"
            raise ReleaseError(message, hint=hint)

    def _find(self, tag: str) -> None:
        """Find the release of a tag: the public one, else the oldest draft, so that parallel runs use the same."""
        self._releases = list(self.api.pages(self._path("releases"), FoundRelease))
        matching = [release for release in self._releases if release.tag_name == tag]
        matching.sort(key=lambda release: (release.draft, release.id))
        self._release = matching[0] if matching else None
        self._twins = [release for release in matching[1:] if release.draft and MARK in (release.body or "")]
        self._assets = Assets(self.api, self.repository, self._release)

    def _decide(self, file: PackagedFile) -> What:
        """Return the action for a file; raise ReleaseError if a public release has a different one."""
        assert self._assets
        if self._assets.has(file):
            return "there"
        is_taken = file.name in self._assets.all
        if self._is_public and (is_taken or (self._release and self._release.immutable)):
            raise self._differs(file.name, "differs there" if is_taken else "is missing there")
        return "replace" if is_taken else "send"

    def _make_draft(self, release: Release) -> None:
        """Create the draft unless it exists: an earlier attempt may have created it although its response was lost."""
        self._find(release.tag)
        if self._release is not None:
            return
        fields = {
            "tag_name": release.tag,
            "name": release.tag,
            "body": _join("", release.notes),
            "draft": True,
            "prerelease": release.prerelease,
        }
        try:
            made = self.api.load(self.api.once("POST", self._path("releases"), json=fields), FoundRelease)
        except AlreadyExistsError as error:
            raise TemporaryError("another run has just made this release") from error
        self._find(release.tag)  # Another run may have done the same.
        if self._release is None:
            self._release, self._assets = made, Assets(self.api, self.repository, made)

    def _clear(self) -> None:
        """Remove remains of failed and parallel runs: files of other builds, and duplicate drafts."""
        assert self._assets
        for name in self._find_stale():
            log.note(f"removing {name} from the draft: it is from another build")
            self._assets.delete(name)
        for twin in self._twins:
            log.note(f"{self.name}: removing a duplicate draft of {twin.tag_name}")
            self.api.delete(self._path(f"releases/{twin.id}"))

    def _find_stale(self) -> list[str]:
        """Return the names of assets that have names like ours, but are not part of this build."""
        assert self._content
        assert self._assets
        names = {item.file.name for item in self._content.items}
        packages = tuple(image.released.image.name for image in self._content.checked)
        return [name for name in self._assets.all if name not in names and name.startswith(packages)]

    def _is_behind(self, release: Release) -> bool:
        """Return True if a newer release is public."""
        current = find_tag(release.tag)
        tags = [find_tag(other.tag_name) for other in self._releases if not other.draft]
        return any(current and tag and not tag.prerelease and tag.order > current.order for tag in tags)

    def _path(self, path: str) -> str:
        return f"/repos/{self.repository}/{path}"

    def _differs(self, name: str, difference: str) -> ReleaseError:
        assert self._release
        return ReleaseError(
            f"{self._release.tag_name} is published at {self.name} already, but {name} {difference}",
            hint="a published release cannot change: release a new version, such as v1.0.1 after v1.0",
        )


def _find_listing(board: str, release: Release | None, assets: Assets) -> str:
    """Return the name of a board's list of packages; "" without a candidate, or with several."""
    if release:
        files = release.boards[board].image.files if board in release.boards else []
        names = [file.name for file in files if file.role == "packages"]
    else:
        names = [name for name in assets.all if name.endswith(LISTING) and f"-{board}-" in name]
    return names[0] if len(names) == 1 and names[0] in assets.all else ""


def _check_sizes(release_content: ReleaseContent) -> None:
    large = [item.file for item in release_content.items if item.file.size_bytes > LARGEST_BYTES]
    if large:
        sizes = ", ".join(f"{file.name} has {render_size(file.size_bytes)}" for file in large)
        hint = "compress the image with --compress xz, or release it to a bucket"
        raise ReleaseError(f"GitHub does not accept files of 2 GiB or more: {sizes}", hint=hint)


def _join(body: str, notes: str) -> str:
    """Return the text of a release: the text of a person, then our notes, which replace earlier ones."""
    written = body.partition(MARK)[0].rstrip()
    if len(notes) > LONGEST_NOTES:
        notes = notes[:LONGEST_NOTES].rpartition("\n")[0] + f"\n\n(the rest is in {RELEASE_NAME})\n"
    return f"{written}\n\n{MARK}\n{notes}".lstrip()


def make_publisher(text: str, config: PublisherConfig) -> Publisher:
    """Return the target of `github:OWNER/REPO`; raise RecipeError for an invalid address, or without a token."""
    repository = text.removeprefix("github:")
    if not REPOSITORY.fullmatch(repository):
        raise RecipeError(f"--to: found {text!r}; expected github:OWNER/REPO", hint="name the repository")
    return GitHubPublisher(Api(load_server(), RETRIES), repository, config.tag_object)
