# SPDX-License-Identifier: MIT
"""A bucket as a store of releases, on any server with the S3 API.

Each object has the SHA-256 of its content in its metadata. With this digest and the size it is compared without a
download. Its ETag shows whether the upload is intact; if the storage encrypts with its own keys, the object is read
back instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError

from builder import log
from builder.choices import CacheMode
from builder.errors import DownloadError, ReleaseError, TrustError
from builder.net.http import LOOK
from builder.net.location import Location, parse_location
from builder.net.retry import RetryPolicy, TemporaryError, retry
from builder.net.s3 import TROUBLE, is_missing, list_all, make_client, say
from builder.packaging.model import LONGEST, PackagedFile
from builder.release.collect import ReleaseFile
from builder.release.content_types import LASTING, MOVING, type_of
from builder.release.file_tree import ConflictError, FileTreePublisher, StoredObject
from builder.release.multipart import PART_BYTES, Upload, aborted_on_error, digests_of, find_uploads, split
from builder.release.target import Publisher, PublisherConfig
from builder.system.checksums import sha256_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

DIGEST = "sha256"
"""Name of the metadata."""
PIECE = 1024 * 1024
RETRIES = RetryPolicy(
    attempts=2,
    first_s=0.0,
    longest_s=0.0,
    total_s=0.0,
    hint="try again; if it stays so, the way to the server or its storage is damaged",
)
"""For a file that arrived damaged, or whose unfinished upload another run has ended. botocore (net/s3.py) retries busy
servers and broken connections, and signs each request again."""
CHANGED = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
ENDED = frozenset({"NoSuchUpload", "InvalidPart"})
"""Codes for an upload that another run, or a rule of the bucket, has ended or changed."""
REFUSED = frozenset(
    {"403", "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket"}
)


class Bucket:
    """A bucket, or the part of it below a prefix."""

    def __init__(self, location: Location, *, part_bytes: int = PART_BYTES) -> None:
        self._location = location
        self._bucket = location.bucket
        self._client = make_client(location)
        self._part_bytes = part_bytes

    @property
    def name(self) -> str:
        return self._location.name

    def read(self, key: str) -> StoredObject | None:
        with self._explaining(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._full(key))
                content = answer["Body"].read(LONGEST)
                is_whole = not answer["Body"].read(1)  # This call also compares the received with the announced length.
                stored = StoredObject(content, answer["ETag"])
            except ClientError as error:
                if not is_missing(error):
                    raise
                return None
        if not is_whole:
            raise DownloadError(f"{self.name}/{key} is longer than the limit ({LONGEST} bytes)", hint=LOOK)
        return stored

    def write(self, key: str, content: bytes, *, mark: str | None, lasting: bool) -> None:
        try:
            with self._explaining(key):
                self._put(key, content, mark, lasting=lasting, conditional=True)
        except _UnknownConditionError:
            log.warn(f"{self.name} knows no conditional writes: of two releases at once, one may be lost in {key}")
            with self._explaining(key):
                self._put(key, content, mark, lasting=lasting, conditional=False)

    def list(self, folder: str) -> list[str]:
        start = self._full(folder)
        with self._explaining(folder):
            objects = list_all(
                self._client, "list_objects_v2", "Contents", Bucket=self._bucket, Prefix=start, Delimiter="/"
            )
            return [folder + row["Key"].removeprefix(start) for row in objects]

    def compare(self, key: str, file: PackagedFile) -> Literal["absent", "same", "other"]:
        with self._explaining(key):
            head = self._head(key)
            if head is None:
                return "absent"
            if head["ContentLength"] != file.size_bytes:
                return "other"
            digest = head["Metadata"].get(DIGEST) or self._read_digest(key)
            return "same" if digest == file.sha256 else "other"

    def send(self, key: str, item: ReleaseFile) -> None:
        with self._explaining(key):
            retry(RETRIES, f"{self.name}/{key}", partial(self._attempt, key, item))

    def tidy(self, folder: str) -> None:
        with self._explaining(folder):
            for upload in find_uploads(self._client, self._bucket, self._full(folder)):
                log.note(f"{self.name}: an unfinished upload of {upload.key.rpartition('/')[2]} is removed")
                upload.abort()

    def _attempt(self, key: str, item: ReleaseFile) -> None:
        """Send a file; TemporaryError if it arrived damaged."""
        try:
            is_there = self._send(key, item)
        except ClientError as error:
            if str(error.response.get("Error", {}).get("Code")) not in ENDED:
                raise
            is_there = self.compare(key, item.file) == "same"
        if not is_there:
            raise TemporaryError("the upload was damaged", kind=TrustError)

    def _send(self, key: str, item: ReleaseFile) -> bool:
        """Send a file; if it arrived damaged, delete it and return False."""
        with log.step(f"send {item.file.name}"):
            if item.file.size_bytes > self._part_bytes:
                expected, etag = self._send_parts(key, item)
            else:
                expected, etag = self._send_whole(key, item)
            head = self._head(key)
            is_ours = head is not None and head["Metadata"].get(DIGEST) == item.file.sha256
            if is_ours and (expected == etag or self._read_digest(key) == item.file.sha256):
                return True
            self._client.delete_object(Bucket=self._bucket, Key=self._full(key))
            return False

    def _send_whole(self, key: str, item: ReleaseFile) -> tuple[str, str]:
        """Send a file in one request; return the expected ETag and the server's."""
        content = item.path.read_bytes()
        _check_unchanged(item, sha256_bytes(content))
        answer = self._client.put_object(
            Bucket=self._bucket,
            Key=self._full(key),
            Body=content,
            ContentType=type_of(item.file.name),
            CacheControl=LASTING,
            Metadata={DIGEST: item.file.sha256},
        )
        return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"', answer["ETag"]

    def _send_parts(self, key: str, item: ReleaseFile) -> tuple[str, str]:
        parts = split(item.file.size_bytes, self._part_bytes)
        upload = self._find_upload(key) or self._begin_upload(key, item)
        with aborted_on_error(upload):
            etag = upload.send(item.path, parts)
        sha256, expected = digests_of(item.path, parts)
        _check_unchanged(item, sha256)
        return expected, etag

    def _find_upload(self, key: str) -> Upload | None:
        uploads = find_uploads(self._client, self._bucket, self._full(key))
        return next((upload for upload in uploads if upload.key == self._full(key)), None)

    def _begin_upload(self, key: str, item: ReleaseFile) -> Upload:
        answer = self._client.create_multipart_upload(
            Bucket=self._bucket,
            Key=self._full(key),
            ContentType=type_of(item.file.name),
            CacheControl=LASTING,
            Metadata={DIGEST: item.file.sha256},
        )
        return Upload(self._client, self._bucket, self._full(key), answer["UploadId"])

    def _put(self, key: str, content: bytes, mark: str | None, *, lasting: bool, conditional: bool) -> None:
        condition = {"IfMatch": mark} if mark else {"IfNoneMatch": "*"}
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._full(key),
            Body=content,
            ContentType=type_of(key),
            CacheControl=LASTING if lasting else MOVING,
            Metadata={DIGEST: sha256_bytes(content)},
            **(condition if conditional else {}),  # type: ignore[arg-type]
        )

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=self._full(key))
        except ClientError as error:
            if not is_missing(error):
                raise
            return None

    def _read_digest(self, key: str) -> str:
        digest = hashlib.sha256()
        body = self._client.get_object(Bucket=self._bucket, Key=self._full(key))["Body"]
        for piece in body.iter_chunks(PIECE):
            digest.update(piece)
        return digest.hexdigest()

    def _full(self, key: str) -> str:
        return "/".join(filter(None, (self._location.prefix, key)))

    @contextmanager
    def _explaining(self, key: str) -> Iterator[None]:
        """Turn errors of the libraries into messages."""
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code in CHANGED:
                raise ConflictError(key) from error
            if code == "NotImplemented":
                raise _UnknownConditionError from error
            kind = ReleaseError if code in REFUSED else DownloadError
            raise kind(f"{self.name} {say(error)}; it was asked for {key}", hint=RESUME) from error
        except TROUBLE as error:
            raise DownloadError(f"{self.name} {say(error)}; it was asked for {key}", hint=RESUME) from error


RESUME = "run the same again: it goes on where this ended"


class _UnknownConditionError(Exception):
    """The server does not support conditional writes."""


def _check_unchanged(item: ReleaseFile, sha256: str) -> None:
    if sha256 != item.file.sha256:
        raise TrustError(f"{item.path} changed while it was sent", hint="run the same again")


def make_publisher(text: str, config: PublisherConfig) -> Publisher:
    """Return the target of `s3://BUCKET/PREFIX`; raise RecipeError for an invalid address."""
    return FileTreePublisher(Bucket(parse_location(text, CacheMode.RW, "--to")), config.url, config.catalogue)
