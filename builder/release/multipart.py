# SPDX-License-Identifier: MIT
"""Upload a large file to a bucket in parts.

A run that was killed leaves an unfinished upload. The next run for the same key continues it, and sends only the parts
that the server lacks. The ETag of a part is its MD5. After an error the upload is removed at once, because unfinished
uploads cost money and are not listed with the objects.

Each request is signed with the SHA-256 of its body (builder/net/s3.py), which every server compares.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from builder import log
from builder.errors import TrustError
from builder.net.progress import Progress
from builder.net.s3 import TROUBLE, list_all

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 4
PART_BYTES = 16 * 1024 * 1024
MOST_PARTS = 10_000
"""S3 takes no more."""
ROUNDS = 3
"""Number of attempts to send the parts that the server lacks or has damaged."""


@dataclass(frozen=True)
class UploadPart:
    """A piece of the file; parts are counted from 1."""

    number: int
    start: int
    size_bytes: int

    def read(self, path: Path) -> bytes:
        with path.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(self.size_bytes)


class _Body(io.BytesIO):
    """The bytes of a part. Reading fails once the upload is cancelled, so that ^C waits for no slow network."""

    def __init__(self, content: bytes, over: threading.Event) -> None:
        super().__init__(content)
        self._over = over

    def read(self, size: int | None = -1) -> bytes:
        if self._over.is_set():
            raise CancelledError
        return super().read(size)


@dataclass(frozen=True)
class Upload:
    """An unfinished upload under a key."""

    client: S3Client
    bucket: str
    key: str
    upload_id: str

    def send(self, path: Path, parts: list[UploadPart]) -> str:
        """Send the parts that the server lacks and return the ETag of the object; TrustError if they arrive damaged."""
        etags: dict[int, str] = {}
        for _ in range(ROUNDS):
            stored = self._list()
            lacking = [part for part in parts if not _is_there(part, path, stored.get(part.number), etags)]
            if not lacking:
                return self._complete(stored, parts)
            etags |= self._send_all(path, lacking, total_bytes=sum(part.size_bytes for part in parts))
        raise TrustError(
            f"s3://{self.bucket}/{self.key}: the server has other parts than were sent, {ROUNDS} times",
            hint="try again; if it stays so, the way to the server or its storage is damaged",
        )

    def _send_all(self, path: Path, parts: list[UploadPart], *, total_bytes: int) -> dict[int, str]:
        etags = {}
        over = threading.Event()
        stored_bytes = total_bytes - sum(part.size_bytes for part in parts)
        with ThreadPoolExecutor(WORKERS) as pool, Progress(path.name, total_bytes, stored_bytes) as progress:
            futures = {pool.submit(self._send, path, part, over): part for part in parts}
            try:
                for future in as_completed(futures):
                    etags[futures[future].number] = future.result()
                    progress.update(futures[future].size_bytes)
            except BaseException:
                over.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return etags

    def _send(self, path: Path, part: UploadPart, over: threading.Event) -> str:
        answer = self.client.upload_part(
            Bucket=self.bucket,
            Key=self.key,
            UploadId=self.upload_id,
            PartNumber=part.number,
            Body=_Body(part.read(path), over),
        )
        return answer["ETag"]

    def _list(self) -> dict[int, tuple[int, str]]:
        """Return size and ETag of the parts that the server has, by number."""
        rows = list_all(self.client, "list_parts", "Parts", Bucket=self.bucket, Key=self.key, UploadId=self.upload_id)
        return {row["PartNumber"]: (row["Size"], row["ETag"]) for row in rows}

    def _complete(self, stored: dict[int, tuple[int, str]], parts: list[UploadPart]) -> str:
        answer = self.client.complete_multipart_upload(
            Bucket=self.bucket,
            Key=self.key,
            UploadId=self.upload_id,
            MultipartUpload={
                "Parts": [{"PartNumber": part.number, "ETag": stored[part.number][1]} for part in parts],
            },
        )
        return answer["ETag"]

    def abort(self) -> None:
        """Remove the upload; do nothing if it is already gone."""
        with suppress(*TROUBLE):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.key, UploadId=self.upload_id)


def split(size_bytes: int, part_bytes: int) -> list[UploadPart]:
    """Return the parts of a file, larger ones where there would be too many."""
    step = max(part_bytes, -(-size_bytes // MOST_PARTS))
    starts = range(0, size_bytes, step)
    return [UploadPart(number, start, min(step, size_bytes - start)) for number, start in enumerate(starts, 1)]


def digests_of(path: Path, parts: list[UploadPart]) -> tuple[str, str]:
    """Return the SHA-256 of a file, and the ETag of an object of these parts.

    The ETag is the MD5 of the MD5s of the parts, and their number. Servers that encrypt with their own keys have other
    ETags.
    """
    whole, marks = hashlib.sha256(), b""
    for part in parts:
        content = part.read(path)
        whole.update(content)
        marks += _md5(content).digest()
    return whole.hexdigest(), f'"{_md5(marks).hexdigest()}-{len(parts)}"'


@contextmanager
def aborted_on_error(upload: Upload) -> Iterator[None]:
    """Remove an upload if the block ends with an error or an interrupt."""
    try:
        yield
    except BaseException:
        upload.abort()
        raise


def find_uploads(client: S3Client, bucket: str, prefix: str) -> list[Upload]:
    """Return the unfinished uploads below a prefix, newest first; [] if they cannot be listed."""
    try:
        rows = list(list_all(client, "list_multipart_uploads", "Uploads", Bucket=bucket, Prefix=prefix))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("AccessDenied", "403", "NotImplemented"):
            raise
        log.note(f"s3://{bucket}: unfinished uploads cannot be listed; uploads of large files start from the beginning")
        return []
    rows.sort(key=lambda row: row["Initiated"], reverse=True)
    return [Upload(client, bucket, row["Key"], row["UploadId"]) for row in rows]


def _is_there(part: UploadPart, path: Path, stored: tuple[int, str] | None, etags: dict[int, str]) -> bool:
    """Return whether the server has a part as the file has it: by its MD5, or by the ETag of its upload."""
    if stored is None or stored[0] != part.size_bytes:
        return False
    mark = stored[1].strip('"')
    return etags.get(part.number, "").strip('"') == mark or _md5(part.read(path)).hexdigest() == mark


def _md5(content: bytes) -> hashlib._Hash:
    return hashlib.md5(content, usedforsecurity=False)
