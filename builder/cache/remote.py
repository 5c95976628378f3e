# SPDX-License-Identifier: MIT
"""The shared cache: a bucket on any S3 server, used by several machines behind their local stores.

    PREFIX/objects/<2 digits>/<sha256>   an object, uploaded once and never changed
    PREFIX/refs/<name>.json              a name for an object, as in the store; the last write wins

The bucket is not trusted: the store hashes every object that it downloads. Nothing is removed here; use the bucket's
lifecycle rules. A removed object is a cache miss. Uploads run in the background until the end of `open_remote`. After
the first error of the server or the network, a warning is logged and the bucket is no longer used. Such an error never
fails a build.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import ClientError
from s3transfer.exceptions import CancelledError
from s3transfer.manager import TransferConfig, TransferManager
from s3transfer.subscribers import BaseSubscriber

from builder import log
from builder.errors import BoardwrightError
from builder.net.location import Location
from builder.net.s3 import ATTEMPTS, TROUBLE, is_missing, make_client, say
from builder.units import render_size

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from s3transfer.futures import TransferFuture

WORKERS = 8
PART_BYTES = 16 * 1024 * 1024
REF_BYTES = 1024 * 1024
"""Most bytes that are read of a ref."""


@contextmanager
def open_remote(location: Location) -> Iterator[Remote]:
    """Yield the bucket; at the end wait for the uploads, or cancel them if the program is interrupted.

    Raises RecipeError (no such profile, no credentials to write with).
    """
    remote = Remote(location, make_client(location))
    is_wanted = False
    try:
        yield remote
        is_wanted = True
    except BoardwrightError:
        is_wanted = True  # The build has failed; its finished objects are still useful to other machines.
        raise
    finally:
        remote.close(cancel=not is_wanted)


class Remote:
    """A bucket in use. Its methods may be called by several threads at once."""

    def __init__(self, location: Location, client: S3Client) -> None:
        self._location = location
        self._client = client
        self._manager = TransferManager(
            client,
            TransferConfig(
                multipart_threshold=PART_BYTES,
                multipart_chunksize=PART_BYTES,
                max_request_concurrency=WORKERS,
                num_download_attempts=ATTEMPTS,
            ),
        )
        self._lock = threading.Lock()
        self._trouble: Exception | None = None
        self._is_over = False
        self._absent: set[str] = set()
        """Objects known to be missing or damaged in the bucket: they are uploaded without a check."""
        self._pending: list[TransferFuture] = []
        self._taken: list[int] = []
        self._sent: list[int] = []
        with self._forgiving():
            client.list_objects_v2(Bucket=location.bucket, Prefix=self._key("refs/"), MaxKeys=1)

    @property
    def is_writable(self) -> bool:
        """True if objects are uploaded to the bucket."""
        return self._location.writable and self._is_usable()

    def fetch(self, sha256: str, stream: IO[bytes]) -> bool:
        """Download the object with this digest into a new file; False on a cache miss."""
        if sha256 in self._absent or not self._is_usable():
            return False
        with self._forgiving():
            try:
                self._manager.download(self._location.bucket, self._object(sha256), stream).result()
            except ClientError as error:
                if not is_missing(error):
                    raise
                self._absent.add(sha256)
                return False
            stream.flush()
            self._taken.append(os.fstat(stream.fileno()).st_size)  # Not tell(): the parts arrive in any order.
            return True
        return False

    def mark_bad(self, sha256: str) -> None:
        """Mark the bucket's object as damaged: the next upload replaces it."""
        self._absent.add(sha256)

    def send(self, sha256: str, path: Path) -> None:
        """Upload an object in the background, unless the bucket has it."""
        if self._is_usable() and self._location.writable and not self._has(sha256, size_bytes := path.stat().st_size):
            self._absent.discard(sha256)
            self._upload(str(path), self._object(sha256), size_bytes)

    def read_ref(self, name: str) -> bytes | None:
        """Return the content of a ref, or None."""
        if not self._is_usable():
            return None
        with self._forgiving():
            try:
                answer = self._client.get_object(Bucket=self._location.bucket, Key=self._ref(name))
                return answer["Body"].read(REF_BYTES)
            except ClientError as error:
                if not is_missing(error):
                    raise
        return None

    def write_ref(self, name: str, content: bytes) -> None:
        """Upload a ref in the background. If it arrives before its object, the object is a cache miss until then."""
        if self._is_usable() and self._location.writable:
            self._upload(io.BytesIO(content), self._ref(name))

    def close(self, *, cancel: bool) -> None:
        """Wait for the uploads; with `cancel`, or after an error of the bucket, cancel them."""
        try:
            if not cancel and any(not future.done() for future in self._pending):
                with log.step(f"send to {self._location.name}"):
                    self._wait()
        except BaseException:
            cancel = True
            raise
        finally:
            if cancel or not self._is_usable():
                for future in self._pending:  # Not shutdown(cancel=True) of the manager: it fails in s3transfer 0.19.
                    future.cancel()
            self._manager.shutdown()
        self._is_usable()  # Logs an error of the last upload.
        for verb, sizes in (("took", self._taken), ("sent", self._sent)):
            if sizes:
                noun = "object" if len(sizes) == 1 else "objects"
                log.note(f"shared cache: {verb} {len(sizes)} {noun}, {render_size(sum(sizes))}")

    def _wait(self) -> None:
        for number, future in enumerate(self._pending):
            log.progress("objects", number / len(self._pending))
            try:
                future.result()
            except (*TROUBLE, CancelledError, OSError):
                if not self._is_usable():
                    return

    def _upload(self, source: str | IO[bytes], key: str, size_bytes: int | None = None) -> None:
        subscriber = _UploadEnd(self, size_bytes)
        self._pending.append(self._manager.upload(source, self._location.bucket, key, subscribers=[subscriber]))

    def note_end(self, error: Exception | None, size_bytes: int | None) -> None:
        """Record the result of an upload; called from the upload thread, which has no log sink."""
        if isinstance(error, TROUBLE):
            self._trouble = self._trouble or error
        elif error is None and size_bytes is not None:
            self._sent.append(size_bytes)
        # Any other error is of the file: the cache's size limit removed it before its upload.

    def _has(self, sha256: str, size_bytes: int) -> bool:
        if sha256 in self._absent:
            return False
        with self._forgiving():
            try:
                answer = self._client.head_object(Bucket=self._location.bucket, Key=self._object(sha256))
                return answer["ContentLength"] == size_bytes
            except ClientError as error:
                if not is_missing(error):
                    raise
                return False
        return True  # The bucket is no longer used.

    def _is_usable(self) -> bool:
        """Return whether the bucket may still be used; the first call after an error logs it."""
        with self._lock:
            if self._trouble and not self._is_over:
                self._is_over = True
                log.warn(f"the shared cache {self._location.name} {say(self._trouble)}; this build goes on without it")
        return not self._is_over

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except TROUBLE as error:
            self._trouble = self._trouble or error
            self._is_usable()

    def _key(self, path: str) -> str:
        return "/".join(filter(None, (self._location.prefix, path)))

    def _object(self, sha256: str) -> str:
        return self._key(f"objects/{sha256[:2]}/{sha256}")

    def _ref(self, name: str) -> str:
        return self._key(f"refs/{quote(name, safe='')}.json")


class _UploadEnd(BaseSubscriber):
    """Reports the result of an upload to its Remote; a ref has no size."""

    def __init__(self, remote: Remote, size_bytes: int | None) -> None:
        self._remote = remote
        self._size_bytes = size_bytes

    def on_done(self, future: TransferFuture, **_: Any) -> None:
        try:
            future.result()
        except Exception as error:
            self._remote.note_end(error, self._size_bytes)
        else:
            self._remote.note_end(None, self._size_bytes)
