# SPDX-License-Identifier: MIT
"""A location in a bucket, the value of `--cache` and `--to`: s3://BUCKET/PREFIX?endpoint=URL&region=NAME.

It has no credentials, and the server is not contacted here: boto3 finds credentials as for any other program
(builder/net/s3.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from builder.choices import CacheMode
from builder.errors import RecipeError

EXAMPLE = "s3://BUCKET/PREFIX, or s3://BUCKET/PREFIX?endpoint=https://HOST:PORT for another server than Amazon's"
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
"""More than Amazon allows today: other servers, and old buckets, have upper case and underscores."""
OPTIONS = ("endpoint", "region")


@dataclass(frozen=True)
class Location:
    """A bucket, a prefix in it, and whether it is writable."""

    bucket: str
    prefix: str = ""
    """Without slashes at its ends; empty for the whole bucket."""
    endpoint: str = ""
    """URL of the server; empty for that of AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, or Amazon's."""
    region: str = ""
    """Empty for that of AWS_DEFAULT_REGION or the profile."""
    writable: bool = True
    option: str = "--cache"
    """The option that it came from; messages begin with it."""

    @property
    def url(self) -> str:
        """The location as `load_location` takes it."""
        options = urlencode({name: value for name in OPTIONS if (value := getattr(self, name))})
        return f"s3://{'/'.join(filter(None, (self.bucket, quote(self.prefix))))}{options and '?'}{options}"

    @property
    def name(self) -> str:
        """The name in messages."""
        return "/".join(filter(None, (f"s3://{self.bucket}", self.prefix)))


def load_location(text: str, mode: CacheMode) -> Location | None:
    """Return the location of `--cache` with `--cache-mode`, None for an empty text; RecipeError if it is invalid."""
    return parse_location(text, mode, "--cache") if text else None


def parse_location(text: str, mode: CacheMode, option: str) -> Location:
    """Return the location of an option's text; RecipeError, which names the option, if it is invalid."""
    try:
        return _parse(text, mode, option)
    except RecipeError as error:
        also = "; the same for BOARDWRIGHT_CACHE" if option == "--cache" else ""
        raise RecipeError(f"{option}: {error.message}", hint=error.hint + also) from None


def _parse(text: str, mode: CacheMode, option: str) -> Location:
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise _wrong("has a user or a key in it", "give credentials as for the aws command; they do not belong here")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = ", ".join(sorted(set(options) - set(OPTIONS)))
    if parts.scheme != "s3" or not BUCKET.fullmatch(parts.netloc) or parts.fragment:
        raise _wrong(f"{text!r} is not an s3://BUCKET URL", f"give {EXAMPLE}")
    if unknown:
        raise _wrong(f"{text!r} has the unknown option {unknown}", f"allowed are {' and '.join(OPTIONS)}")
    endpoint = options.get("endpoint", "")
    _check_endpoint(endpoint)
    prefix = "/".join(filter(None, parts.path.split("/")))
    return Location(parts.netloc, prefix, endpoint, options.get("region", ""), mode is CacheMode.RW, option)


def check_endpoint(endpoint: str, option: str) -> None:
    """Raise RecipeError for an endpoint that is not a plain server URL; an empty one is allowed."""
    try:
        _check_endpoint(endpoint)
    except RecipeError as error:
        raise RecipeError(f"{option}: {error.message}", hint=error.hint) from None


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:
        raise _wrong("its endpoint has a user or a password in it", "give credentials as for the aws command")
    if endpoint and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise _wrong(f"its endpoint {endpoint!r} is not the URL of a server", "give one such as https://HOST:PORT")


def _wrong(what: str, hint: str) -> RecipeError:
    return RecipeError(what, hint=hint)
