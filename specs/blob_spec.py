# SPDX-License-Identifier: MIT
"""Boot blobs are at the offsets where the board reads them."""

import hashlib

import pytest

from builder.disk.blobs import written_ranges
from builder.plan.model import BlobPlan
from builder.verify.facts.blobs import differing_bytes, find_content
from builder.verify.facts.image import ImageFacts

pytestmark = pytest.mark.needs("blobs")


def test_a_blob_fits_its_room(image: ImageFacts, blob: BlobPlan) -> None:
    assert len(find_content(image, blob)) <= blob.limit_bytes


def test_a_blob_is_on_the_disk_byte_for_byte(image: ImageFacts, blob: BlobPlan) -> None:
    assert differing_bytes(image, blob) == []


def test_a_blob_is_the_one_of_its_digest(image: ImageFacts, blob: BlobPlan) -> None:
    content = find_content(image, blob)
    assert blob.sha256 in (None, hashlib.sha256(content).hexdigest())


def test_a_blob_is_not_empty(image: ImageFacts, blob: BlobPlan) -> None:
    assert any(written_ranges(blob, len(find_content(image, blob))))
