# SPDX-License-Identifier: MIT
"""A release in a bucket of a real S3 server, and whatever the server and the way to it do."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builder import log
from builder.cache.remote import open_remote
from builder.choices import CacheMode
from builder.errors import BoardwrightError, DownloadError, RecipeError, ReleaseError, TrustError
from builder.net.location import parse_location
from builder.packaging.model import Channel, load_channel, load_release
from builder.packaging.tag import load_tag
from builder.release.bucket import Bucket
from builder.release.channels import make_wish
from builder.release.file_tree import FileTreePublisher, StoredObject
from builder.release.multipart import MOST_PARTS, split
from builder.release.publish import PublishRequest, dry_run, publish
from tests.conftest import ROOT
from tests.support.bucket import BUCKET, ENVIRONMENT, KEY, REFUSAL, SECRET, TOKEN, serve_bucket
from tests.support.bucket import Bucket as Server
from tests.support.packaged import make_package, ship

MIB = 1024 * 1024
PART = 5 * MIB
IMAGE = "rel/v1.0/rpi/boardwright-rpi-1.0.img.xz"


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    with serve_bucket() as one:
        yield one


@pytest.fixture
def server(served: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Server]:
    """The bucket as it is empty; at the end, nobody was told the credentials."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    yield served
    for each in unfinished(served):
        served.client.abort_multipart_upload(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"])
    served.reset()
    told = "".join(capsys.readouterr())
    assert not [secret for secret in (KEY, SECRET, TOKEN) if secret in told]


@dataclass
class Site:
    """A bucket that is released to, and packages made as they are needed."""

    server: Server
    root: Path

    @property
    def text(self) -> str:
        return f"s3://{BUCKET}/rel?endpoint={self.server.url}"

    def packages(self, tag: str, *, size_bytes: int = 3000, seed: str = "") -> Path:
        path = self.root / f"packages-{tag}{seed}"
        if not path.exists():
            make_package(path, "rpi", load_tag(tag).version, size_bytes=size_bytes, seed=seed)
        return path

    def order(self, tag: str = "v1.0", *, size_bytes: int = 3000, seed: str = "") -> PublishRequest:
        packages = self.packages(tag, size_bytes=size_bytes, seed=seed)
        wish = make_wish(load_tag(tag), (), back=False)
        return PublishRequest(ship(packages, tag), wish, "", self.root, lambda: datetime.now(UTC))

    def tree(self) -> FileTreePublisher:
        return FileTreePublisher(Bucket(parse_location(self.text, CacheMode.RW, "--to"), part_bytes=PART))

    def release(self, tag: str = "v1.0", *, size_bytes: int = 3000, seed: str = "") -> None:
        publish([self.tree()], self.order(tag, size_bytes=size_bytes, seed=seed))

    def channel(self, name: str) -> Channel:
        return load_channel(self.server.read(f"rel/channels/{name}.json"), name)

    def check(self, *, size_bytes: int = 3000) -> None:
        """The release is complete, there is nothing else, and every byte is right."""
        release = load_release(self.server.read("rel/v1.0/release.json"), "")
        files = release.boards["rpi"].files
        names = [f"rel/v1.0/rpi/{file.name}" for file in files]
        below = [key for key in self.server.list_keys() if key.count("/") > 1]  # The catalogue lies beside.
        assert below == sorted(
            [*names, "rel/v1.0/release.json", "rel/channels/stable.json", "rel/channels/latest.json"]
        )
        for file, name in zip(files, names, strict=True):
            content = self.server.read(name)
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size_bytes, file.sha256)
        assert len(self.server.read(IMAGE)) == size_bytes
        assert unfinished(self.server) == []
        assert [entry.tag for entry in self.channel("stable").history] == ["v1.0"]


def unfinished(server: Server) -> list[Any]:
    return list(server.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Site:
    return Site(server, tmp_path)


def test_objects_say_what_they_are_and_how_long_they_last(site: Site) -> None:
    site.release()
    site.check()
    said = {}
    for key in site.server.list_keys():
        head = site.server.client.head_object(Bucket=BUCKET, Key=key)
        said[key.rpartition("/")[2].removeprefix("boardwright-rpi-1.0")] = (head["ContentType"], head["CacheControl"])
        assert head["Metadata"]["sha256"] == hashlib.sha256(site.server.read(key)).hexdigest()
    lasting, moving = "public, max-age=31536000, immutable", "public, max-age=60, must-revalidate"
    assert said == {
        ".SHA256SUMS": ("text/plain; charset=utf-8", lasting),
        ".img.xz": ("application/x-xz", lasting),
        ".package.json": ("application/json", lasting),
        ".package.json.minisig": ("text/plain; charset=utf-8", lasting),
        ".packages": ("text/plain; charset=utf-8", lasting),
        "release.json": ("application/json", lasting),
        "stable.json": ("application/json", moving),
        "latest.json": ("application/json", moving),
    }


def test_every_request_is_signed_with_the_digest_of_what_it_sends(site: Site) -> None:
    site.release(size_bytes=6 * MIB)
    puts = [asked for asked in site.server.door.asked if asked.method == "PUT"]
    assert len(puts) > 5
    assert all(len(asked.headers["X-Amz-Content-SHA256"]) == 64 for asked in puts)


def test_the_same_again_writes_nothing(site: Site) -> None:
    site.release()
    site.server.door.asked.clear()
    site.release()
    assert [asked for asked in site.server.door.asked if asked.method not in ("GET", "HEAD")] == []
    site.check()


def test_without_doing_it_nothing_is_written(site: Site) -> None:
    dry_run([site.tree()], site.order())
    assert site.server.list_keys() == []
    assert {asked.method for asked in site.server.door.asked} == {"GET", "HEAD"}


def test_a_released_tag_does_not_change(site: Site) -> None:
    site.release()
    with pytest.raises(ReleaseError, match=r"differs there"):
        site.release(seed="other")
    site.check()


def test_what_others_put_there_is_looked_into(site: Site) -> None:
    order = site.order()
    image, listing = (item.path.read_bytes() for item in order.release_content.items[:2])
    site.server.write(IMAGE, image)
    site.server.write("rel/v1.0/rpi/boardwright-rpi-1.0.packages", b"x" * len(listing))
    site.server.write("rel/v1.0/rpi/boardwright-rpi-1.0.SHA256SUMS", b"short")
    (done,) = dry_run([site.tree()], order)
    assert [step.what for step in done.steps[:3]] == ["there", "replace", "replace"]
    site.release()
    site.check()


# large files


def test_parts_are_not_too_many() -> None:
    assert [part.size_bytes for part in split(12, 5)] == [5, 5, 2]
    assert len(split(MOST_PARTS * 7, 5)) <= MOST_PARTS
    assert sum(part.size_bytes for part in split(MOST_PARTS * 7 + 1, 5)) == MOST_PARTS * 7 + 1


@pytest.mark.parametrize(
    "fault",
    [
        lambda door: door.hang_up(only=r"PUT .*partNumber=2", times=2),
        lambda door: door.cut(only=r"PUT .*partNumber=2", times=2),
        lambda door: door.refuse(503, "SlowDown", only=r"PUT .*partNumber", times=2),
        lambda door: door.refuse(500, "InternalError", only=r"POST .*uploadId", times=1),
        lambda door: door.refuse(503, "SlowDown", only=r"PUT .*channels", times=1),
    ],
    ids=["reset in a part", "answer cut", "busy", "broken at the end", "busy at the channel"],
)
def test_what_passes_is_waited_for(site: Site, fault: Callable[[Any], None]) -> None:
    fault(site.server.door)
    site.release(size_bytes=12 * MIB)
    site.server.door.reset()
    site.check(size_bytes=12 * MIB)


def test_a_wrong_etag_is_no_damage(site: Site) -> None:
    def behave(handler: Any) -> bool:
        if handler.command == "PUT" and "channels" not in handler.path:
            handler.pass_on(changed={"ETag": '"not-an-md5"'})
            return True
        return False

    site.server.door.behave = behave
    site.release(size_bytes=12 * MIB)
    site.server.door.reset()
    site.check(size_bytes=12 * MIB)


@pytest.mark.parametrize("size_bytes", [3000, 12 * MIB])
def test_damage_on_the_way_is_repaired(site: Site, size_bytes: int) -> None:
    left = [1]

    def behave(handler: Any) -> bool:
        if handler.command == "PUT" and "img.xz" in handler.path and left[0]:
            left[0] -= 1
            handler.body = bytes(len(handler.body))
        return False

    site.server.door.behave = behave
    site.release(size_bytes=size_bytes)
    assert left == [0]
    site.check(size_bytes=size_bytes)


@pytest.mark.parametrize("size_bytes", [3000, 6 * MIB])
def test_damage_that_stays_is_no_release(site: Site, size_bytes: int) -> None:
    def behave(handler: Any) -> bool:
        if handler.command == "PUT" and "img.xz" in handler.path:
            handler.body = bytes(len(handler.body))
            handler.pass_on(changed={"ETag": '"another"'})
            return True
        return False

    site.server.door.behave = behave
    with pytest.raises(TrustError):
        site.release(size_bytes=size_bytes)
    site.server.door.reset()
    assert [key for key in site.server.list_keys() if "img" in key or "release.json" in key] == []
    assert unfinished(site.server) == []


def test_an_orderly_failure_leaves_no_unfinished_upload(site: Site) -> None:
    site.server.door.refuse(403, "AccessDenied", only=r"PUT .*partNumber=2")
    with pytest.raises(ReleaseError, match="answers AccessDenied"):
        site.release(size_bytes=12 * MIB)
    site.server.door.reset()
    assert unfinished(site.server) == []
    site.release(size_bytes=12 * MIB)
    site.check(size_bytes=12 * MIB)


def begin(site: Site, key: str, parts: dict[int, bytes], sha256: str = "") -> str:
    made = site.server.client.create_multipart_upload(Bucket=BUCKET, Key=key, Metadata={"sha256": sha256})
    for number, content in parts.items():
        site.server.client.upload_part(
            Bucket=BUCKET, Key=key, UploadId=made["UploadId"], PartNumber=number, Body=content
        )
    return made["UploadId"]


def test_what_a_killed_run_sent_is_gone_on_with(site: Site) -> None:
    item = site.order(size_bytes=12 * MIB).release_content.items[0]
    content = item.path.read_bytes()
    begin(site, IMAGE, {1: content[:PART], 2: bytes(PART)}, item.file.sha256)
    site.release(size_bytes=12 * MIB)
    door = site.server.door
    assert [door.count("PUT", f"partNumber={number}") for number in (1, 2, 3)] == [0, 1, 1]
    site.check(size_bytes=12 * MIB)


def test_progress_starts_with_the_parts_that_are_there(site: Site) -> None:
    item = site.order(size_bytes=12 * MIB).release_content.items[0]
    begin(site, IMAGE, {1: item.path.read_bytes()[:PART]}, item.file.sha256)
    stream = io.StringIO()
    with log.use(log.Json(stream)):
        site.release(size_bytes=12 * MIB)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    data = [row["data"] for row in rows if row["kind"] == "progress" and row["text"] == item.file.name]
    assert (data[0]["fraction"], data[-1]["fraction"]) == (PART / item.file.size_bytes, 1.0)
    assert data[-1]["speed"].endswith("/s")


def test_a_file_that_did_not_arrive_is_sent_again_and_the_log_says_so(site: Site) -> None:
    left = [1]

    def behave(handler: Any) -> bool:
        if handler.command == "PUT" and "img.xz" in handler.path and left[0]:
            left[0] -= 1
            handler.body = bytes(len(handler.body))
            handler.pass_on(changed={"ETag": '"another"'})
            return True
        return False

    site.server.door.behave = behave
    stream = io.StringIO()
    with log.use(log.Plain(stream)):
        site.release()
    assert f"{IMAGE.removeprefix('rel/')}: the upload was damaged; attempt 2 of 2 in 0 s" in stream.getvalue()


def test_an_upload_of_another_build_does_not_lend_its_digest(site: Site) -> None:
    begin(site, IMAGE, {1: bytes(PART)}, "cd" * 32)
    begin(site, "rel/v1.0/rpi/of-another-build.img.zst", {1: bytes(10)})
    begin(site, "rel/v2.0/rpi/of-another-tag.img.zst", {1: bytes(10)})
    site.release(size_bytes=12 * MIB)
    (other,) = unfinished(site.server)
    assert other["Key"] == "rel/v2.0/rpi/of-another-tag.img.zst"
    site.server.client.abort_multipart_upload(Bucket=BUCKET, Key=other["Key"], UploadId=other["UploadId"])
    site.check(size_bytes=12 * MIB)


def test_an_upload_that_somebody_ends_begins_anew(site: Site) -> None:
    site.server.door.refuse(404, "NoSuchUpload", only=r"PUT .*partNumber=1", times=1)
    site.release(size_bytes=12 * MIB)
    site.check(size_bytes=12 * MIB)


def test_where_unfinished_uploads_may_not_be_listed_one_does_without(site: Site) -> None:
    site.server.door.refuse(403, "AccessDenied", only=r"GET .*\?uploads")
    story = io.StringIO()
    with log.use(log.Plain(story)):
        site.release(size_bytes=6 * MIB)
    assert "unfinished uploads cannot be listed" in story.getvalue()
    site.server.door.reset()
    site.check(size_bytes=6 * MIB)


def test_a_killed_run_and_the_next_make_one_release(site: Site) -> None:
    packages = site.packages("v1.0", size_bytes=12 * MIB)
    words = ["release", "v1.0", "--packaged", packages, "--to", site.text, "--board", "rpi"]
    command = [sys.executable, ROOT / "tests/support/small_parts.py", *words]
    two_there, killed = threading.Event(), threading.Event()
    done = []

    def behave(handler: Any) -> bool:
        if "partNumber=3" in handler.path:
            two_there.wait(30)
            killed.wait(30)
            handler.close_connection = True
            return True
        if "partNumber" in handler.path:
            handler.pass_on()
            done.append(handler.path)
            if len(done) == 2:
                two_there.set()
            return True
        return False

    site.server.door.behave = behave
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(list(map(str, command)), cwd=site.root, env=environment) as process:
        assert two_there.wait(30)
        process.kill()
    killed.set()
    assert len(unfinished(site.server)) == 1
    assert "rel/v1.0/release.json" not in site.server.list_keys()
    site.server.door.reset()
    again = subprocess.run(
        list(map(str, command)), cwd=site.root, env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"s3://{BUCKET}/rel/v1.0/release.json\n"
    assert [site.server.door.count("PUT", f"partNumber={number}") for number in (1, 2, 3)] == [0, 0, 1]
    site.check(size_bytes=12 * MIB)


def test_an_interrupt_waits_for_no_slow_network_and_leaves_nothing(site: Site) -> None:
    packages = site.packages("v1.0", size_bytes=12 * MIB)
    words = ["release", "v1.0", "--packaged", packages, "--to", site.text, "--board", "rpi"]
    slow = threading.Event()

    def receive(handler: Any) -> bytes:
        if "partNumber=2" not in handler.path:
            return bytes(handler.receive())
        slow.set()
        pieces = []
        for _ in range(int(handler.headers["Content-Length"]) // 65536):
            pieces.append(handler.rfile.read(65536))
            site.server.door.end.wait(0.1)
            if not pieces[-1]:
                raise ConnectionResetError
        return b"".join(pieces)

    site.server.door.receive = receive
    command = [sys.executable, ROOT / "tests/support/small_parts.py", *words]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(list(map(str, command)), cwd=site.root, env=environment, stderr=subprocess.PIPE) as process:
        assert slow.wait(30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert b"Traceback" not in said
    assert unfinished(site.server) == []


# channels


class Together(Bucket):
    """Waits, when it has read a channel to change it, until the others have read it too."""

    def __init__(self, site: Site, barrier: threading.Barrier) -> None:
        super().__init__(parse_location(site.text, CacheMode.RW, "--to"))
        self._barrier = barrier
        self._count = 0

    def read(self, key: str) -> StoredObject | None:
        held = super().read(key)
        if key == "channels/stable.json":
            self._count += 1  # The first is for the notes.
            if self._count == 2:
                self._barrier.wait()
        return held


def test_releases_at_once_are_all_remembered(site: Site) -> None:
    barrier = threading.Barrier(3, timeout=30)
    orders = [site.order(f"v1.{number}") for number in range(3)]
    trees = [FileTreePublisher(Together(site, barrier)) for _ in orders]
    threads = [
        threading.Thread(target=publish, args=([tree], order)) for tree, order in zip(trees, orders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("stable", "latest"):
        assert {entry.tag for entry in site.channel(name).history} == {"v1.0", "v1.1", "v1.2"}
        assert site.channel(name).release.tag == "v1.2"
    assert site.server.door.count("PUT", "channels/stable") > 3, "nobody was in the way of anybody"


def test_the_channels_of_a_bucket_can_be_listed(site: Site) -> None:
    site.release()
    site.server.write("rel/channels/below/other.json", b"")
    assert site.tree().place.list("channels/") == ["channels/latest.json", "channels/stable.json"]


def test_a_server_without_conditions_is_written_to_with_a_warning(site: Site) -> None:
    def behave(handler: Any) -> bool:
        if any(name in handler.headers for name in ("If-None-Match", "If-Match")):
            handler.answer(501, REFUSAL.format(code="NotImplemented", message="a header").encode())
            return True
        return False

    site.server.door.behave = behave
    story = io.StringIO()
    with log.use(log.Plain(story)):
        site.release()
    assert "knows no conditional writes" in story.getvalue()
    site.server.door.reset()
    site.check()


# trouble, in words


@pytest.mark.parametrize(
    ("status", "code", "only", "kind", "words"),
    [
        (403, "ExpiredToken", "", ReleaseError, "get new credentials"),
        (403, "AccessDenied", "PUT", ReleaseError, "s3:PutObject"),
        (403, "SignatureDoesNotMatch", "", ReleaseError, "SignatureDoesNotMatch"),
        (403, "AccessDenied", "HEAD", ReleaseError, "s3:ListBucket"),
        (500, "InternalError", r"GET .*\?uploads", DownloadError, "InternalError"),
        (404, "NoSuchBucket", "PUT", ReleaseError, "make the bucket"),
        (503, "SlowDown", "PUT .*img", DownloadError, "SlowDown"),
        (503, "SlowDown", "PUT .*release.json", DownloadError, "SlowDown"),
        (500, "InternalError", "PUT .*channels", DownloadError, "InternalError"),
    ],
)
def test_trouble_is_said_and_credentials_are_not(
    site: Site, status: int, code: str, only: str, kind: type[BoardwrightError], words: str
) -> None:
    site.server.door.refuse(status, code, only=only)
    story = io.StringIO()
    with log.use(log.Json(story)), pytest.raises(kind) as caught:
        site.release()
    said = f"{caught.value.message} {caught.value.hint}"
    assert words in said
    assert f"s3://{BUCKET}/rel" in said
    assert not [secret for secret in (KEY, SECRET, TOKEN) if secret in said + story.getvalue()]
    site.server.door.reset()
    site.release()
    site.check()


ODD = {
    "no ETag": (200, {}, b"{}"),
    "date": (200, {"ETag": '"x"', "Last-Modified": "yesterday"}, b"{}"),
    "number": (200, {"ETag": '"x"', "x-amz-missing-meta": "many"}, b"{}"),
    "list": (200, {"ETag": '"x"'}, b"<r><Contents><Size>1</Size></Contents></r>"),
    "circle": (307, {"Location": "/"}, b""),
}


@pytest.mark.parametrize("name", ODD)
def test_answers_that_s3_does_not_give(site: Site, name: str) -> None:
    def behave(handler: Any) -> bool:
        status, headers, content = ODD[name]
        handler.send_response(status)
        for each in {**headers, "Content-Length": str(len(content))}.items():
            handler.send_header(*each)
        handler.end_headers()
        handler.wfile.write(content)
        return True

    site.server.door.behave = behave
    place = Bucket(parse_location(site.server.location, CacheMode.RW, "--to"))
    with pytest.raises(DownloadError, match="sends an answer that S3 does not define"):
        place.list("channels/") if name == "list" else place.read("release.json")
    with open_remote(parse_location(site.server.location, CacheMode.RW, "--cache")) as remote:
        assert remote.read_ref("x") in (b"{}", b"<r><Contents><Size>1</Size></Contents></r>", None)


def test_a_description_has_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Bucket(parse_location(site.server.location, CacheMode.RW, "--to"))
    place.write("release.json", b"12345", mark=None, lasting=True)
    monkeypatch.setattr("builder.release.bucket.LONGEST", 5)
    held = place.read("release.json")
    assert held
    assert held.content == b"12345"
    monkeypatch.setattr("builder.release.bucket.LONGEST", 4)
    with pytest.raises(DownloadError, match=r"release.json is longer than the limit \(4 bytes\)"):
        place.read("release.json")


def test_a_server_that_is_not_there(site: Site) -> None:
    tree = FileTreePublisher(Bucket(parse_location(f"s3://{BUCKET}?endpoint=http://127.0.0.1:9", CacheMode.RW, "--to")))
    with pytest.raises(DownloadError, match="cannot be reached") as caught:
        publish([tree], site.order())
    assert "goes on where this ended" in caught.value.hint


def test_without_credentials_nothing_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(RecipeError, match="--to: there are no credentials to write with") as caught:
        site.tree()
    assert "--cache" not in caught.value.hint
    assert site.server.door.asked == []


def test_a_file_that_changes_while_it_is_sent_is_refused(site: Site) -> None:
    for size_bytes in (3000, 6 * MIB):
        order = site.order(size_bytes=size_bytes, seed=str(size_bytes))
        image = order.release_content.items[0].path
        image.write_bytes(bytes(size_bytes))
        with pytest.raises(TrustError, match="changed while it was sent"):
            publish([site.tree()], order)
    assert "rel/v1.0/release.json" not in site.server.list_keys()
