# SPDX-License-Identifier: MIT
"""A client for a bucket of any server with the S3 API: requests, credentials and error messages.

Endpoint, region and credentials are found as by every program of boto3: environment, profile, the machine's role. An
error in the settings is a RecipeError, before any request; an error of a server is one of TROUBLE.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
from boto3.exceptions import Boto3Error
from botocore import UNSIGNED, exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from s3transfer.exceptions import RetriesExceededError
from urllib3.exceptions import HTTPError

from builder.errors import RecipeError
from builder.net.location import Location, check_endpoint
from builder.net.rate import Measured, find_answer_error, measure
from builder.units import GIB, MIB

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_s3 import S3Client

ATTEMPTS = 3
CONNECT_S = 5
READ_S = 20
CONNECTIONS = 16
ANSWER_BYTES = 16 * MIB
"""No answer is longer that is not an object. A page of a list has 1000 names of at most 1 KiB."""
OBJECT_BYTES = 64 * GIB
"""No object is longer: the largest is an image that is not compressed."""
MOST_PAGES = 1000
"""No list is longer: a million names."""
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
STRANGE = (KeyError, ValueError, RecursionError, ResponseParserError)
"""Exceptions of the libraries for answers that S3 does not give: without an ETag, with an invalid size, with endless
redirections."""
BROKEN = (HTTPError, ConnectionError, TimeoutError)
"""botocore does not wrap these errors while it reads the error response for an object."""
TROUBLE = (BotoCoreError, ClientError, Boto3Error, RetriesExceededError, *BROKEN, *STRANGE)
"""Exceptions of the libraries for failures of the server or the network. A full disk here is not among them."""
PERMISSIONS = "reading needs s3:GetObject and s3:ListBucket, writing s3:PutObject and s3:AbortMultipartUpload"
MESSAGES = (
    ((exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError, TimeoutError), "does not answer in time"),
    ((exceptions.ConnectionError, ConnectionError), "cannot be reached"),
    ((exceptions.HTTPClientError, HTTPError), "breaks off its answer"),
)
HINTS = {
    "403": PERMISSIONS,
    "AccessDenied": PERMISSIONS,
    "ExpiredToken": "get new credentials",
    "NoSuchBucket": "make the bucket, or name another",
    "RequestTimeTooSkewed": "set this machine's clock",
}


def make_client(location: Location) -> S3Client:
    """Return a client for the bucket, without a request.

    Raises RecipeError (no such profile, no credentials to write with, an invalid endpoint).

    The checksums that newer clients add are left out, because not every server knows them. Instead every request is
    signed with the SHA-256 of what it sends, which all servers compare.
    """
    signed = find_credentials(location) is not None
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        user_agent_extra="boardwright",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"payload_signing_enabled": True},
        **({} if signed else {"signature_version": UNSIGNED}),
    )
    try:
        client = boto3.Session().client(
            "s3", endpoint_url=location.endpoint or None, region_name=location.region or None, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise RecipeError(
            f"{location.option}: {error}", hint="look at its endpoint and region, and at AWS_ENDPOINT_URL"
        ) from error
    check_endpoint(client.meta.endpoint_url, location.option)
    _measure(client)
    return client


_is_object: ContextVar[bool] = ContextVar("_is_object", default=False)
"""True during a request for the content of an object."""


class _Connection(Measured):
    """A connection whose answers have a limit. botocore keeps all but objects in memory."""

    def limit_body(self, status: int) -> int | None:
        return OBJECT_BYTES if _is_object.get() and status < HTTPStatus.MULTIPLE_CHOICES else ANSWER_BYTES


def _measure(client: S3Client) -> None:
    """Have the answers to a client measured. botocore has no way to name a class of connections but its own field."""

    def note(request: AWSPreparedRequest, **_: Any) -> None:
        _is_object.set(bool(request.stream_output))

    client.meta.events.register("before-send.s3", note)
    pools = client._endpoint.http_session._pool_classes_by_scheme  # type: ignore[attr-defined]
    for scheme, pool in pools.items():
        pools[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": measure(pool.ConnectionCls, _Connection)})


def list_all(client: S3Client, operation: str, key: str, **arguments: str) -> Iterator[dict[str, Any]]:
    """Yield the rows under a key of all pages of a list. Raises one of TROUBLE for an endless list."""
    for number, page in enumerate(client.get_paginator(operation).paginate(**arguments)):  # type: ignore[call-overload]
        if number == MOST_PAGES:
            raise ValueError("the list has no end")
        yield from page.get(key, [])


def find_credentials(location: Location) -> ReadOnlyCredentials | None:
    """Return the credentials of the environment, a profile or this machine's role; None to read without them."""
    try:
        credentials = boto3.Session().get_credentials()
        if credentials:
            return credentials.get_frozen_credentials()
    except BotoCoreError as error:
        hint = "look at AWS_PROFILE"
        raise RecipeError(f"{location.option}: the credentials cannot be read: {error}", hint=hint) from error
    if location.writable:
        or_read = ", or read only with --cache-mode ro" if location.option == "--cache" else ""
        raise RecipeError(
            f"{location.option}: found no credentials to write with",
            hint=f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE{or_read}",
        )
    return None


def is_missing(error: ClientError) -> bool:
    return str(error.response.get("Error", {}).get("Code")) in MISSING


def say(error: BaseException) -> str:
    """Return the message for an error of the libraries, without the address of an object and without a key."""
    if isinstance(error, RetriesExceededError):
        return say(error.last_exception)
    if cause := find_answer_error(error):
        return f"cannot be used: {cause.strerror}"
    if isinstance(error, ClientError):
        fields = error.response.get("Error", {})
        code = str(fields.get("Code"))
        hint = f" ({HINTS[code]})" if code in HINTS else ""
        return f"answers {code}: {str(fields.get('Message', '')).strip('. ')}{hint}"
    for kinds, message in MESSAGES:
        if isinstance(error, kinds):
            return message
    if isinstance(error, STRANGE):
        return f"sends an answer that S3 does not define ({type(error).__name__})"
    return f"cannot be used: {type(error).__name__}"
