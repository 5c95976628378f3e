# SPDX-License-Identifier: MIT
# ruff: noqa: T201, PLC0415 - a program of its own: it prints, and imports what its container has.
"""Stands in for `python3 -m builder` in a container: the version of its build request says how to behave, and of other
verbs the last word."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

MIB = 1024 * 1024


def emit(kind: str, text: str, /, **data: object) -> None:
    print(json.dumps({"kind": kind, "text": text, "data": data}), flush=True)


def good() -> None:
    emit("start", "build")
    emit("line", "a tool says something")
    print("not an event", file=sys.stderr, flush=True)
    time.sleep(1.5)
    emit("end", "build", seconds=1.5)
    announce(write_image())


def write_image() -> pathlib.Path:
    path = pathlib.Path("/build/dist/image.img")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(b"boot" * 1000)
        stream.seek(33 * MIB + 5)
        stream.write(b"root" * 1000)
        stream.truncate(48 * MIB + 7)
    return path


def announce(path: pathlib.Path, /, **wrong: object) -> None:
    hand_out([describe(path) | wrong])


def hand_out(entries: list[dict[str, object]]) -> None:
    from builder.engine.docker.hand_out import PACKS, REQUEST
    from builder.engine.docker.pack import PACK, write_pack

    # Only a build has it: what a verification finds goes another way.
    if REQUEST.exists() and REQUEST.read_bytes() == PACKS:
        write_pack([pathlib.Path(str(entry["path"])) for entry in entries], PACK)
    emit("result", "done", artefacts=entries)


def describe(path: pathlib.Path) -> dict[str, object]:
    return {
        "path": str(path),
        "size": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def announce_early(path: pathlib.Path, /, **wrong: object) -> None:
    """Announce an image whose specs still run."""
    from builder.engine.docker.hand_out import PACKS, REQUEST
    from builder.engine.docker.pack import IMAGE_PACK, write_pack

    if REQUEST.read_bytes() == PACKS:
        write_pack([path], IMAGE_PACK)
    emit("product", path.name, **(describe(path) | wrong))
    emit("note", "the specs run")


def early(move: str = "link") -> None:
    """A build that announces its image, waits for its specs and gives it its final name beside the first."""
    from builder.engine.docker.pack import PACK, write_pack

    image, text = write_image(), pathlib.Path("/build/dist/text")
    text.write_text("text")
    partial = image.parent / ".partial"
    partial.mkdir()
    announce_early(image.rename(partial / image.name))
    getattr(os, move)(partial / image.name, image)
    write_pack([text], PACK, first=1)
    emit("result", "done", artefacts=[describe(image), describe(text)])


def early_moved() -> None:
    """The same, but the first name goes, as in a build without specs."""
    early("rename")


def early_red() -> None:
    """A build that finds fault with the image it has announced."""
    announce_early(write_image())
    emit("error", "2 specs are red", kind="verify", hint="", exit_code=10)
    sys.exit(10)


def early_slow() -> None:
    announce_early(write_image())
    slow()


def early_other() -> None:
    """A build that hands out another image than it has announced."""
    path = write_image()
    announce_early(path)
    other = path.parent / "other" / path.name
    other.parent.mkdir()
    other.write_bytes(b"BOOT" + path.read_bytes()[4:])
    announce(other)


def early_lie() -> None:
    path = write_image()
    announce_early(path, sha256="0" * 64)
    announce(path)


def early_twice() -> None:
    path = write_image()
    announce_early(path)
    announce_early(path)
    announce(path)


def early_nonsense() -> None:
    emit("product", "x", path="/build/..", size=1, sha256="0" * 64)
    announce(write_image())


def lie() -> None:
    announce(write_image(), sha256="0" * 64)


def absent() -> None:
    hand_out([{"path": "/build/dist/absent", "size": 1, "sha256": "0" * 64}])


def folder() -> None:
    pathlib.Path("/build/dist/folder").mkdir(parents=True)
    hand_out([{"path": "/build/dist/folder", "size": 1, "sha256": "0" * 64}])


def link() -> None:
    """A symbolic link to a file of the machine that the container may not read."""
    pathlib.Path("/build/dist").mkdir(parents=True)
    pathlib.Path("/build/dist/link").symlink_to("/etc/hostname")
    hand_out([{"path": "/build/dist/link", "size": 1, "sha256": "0" * 64}])


def linked_folder() -> None:
    pathlib.Path("/build/dist").symlink_to("/etc")
    hand_out([{"path": "/build/dist/hostname", "size": 1, "sha256": "0" * 64}])


def owned() -> None:
    """A file of another user, which its mode would make a program of root's."""
    path = write_image()
    os.chown(path, 1234, 1234)
    path.chmod(0o6755)
    announce(path)


def several() -> None:
    folder = write_image().parent
    (folder / "empty").touch()
    (folder / "text").write_text("text")
    entries = []
    for name in ("text", "image.img", "empty"):
        content = (folder / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        entries.append({"path": str(folder / name), "size": len(content), "sha256": digest})
    hand_out(entries)


def unpacked() -> None:
    """A build that was asked for a pack and made none."""
    path = write_image()
    entry = {"path": str(path), "size": path.stat().st_size, "sha256": "0" * 64}
    emit("result", "done", artefacts=[entry])


def garbage() -> None:
    pathlib.Path("/build/artefacts.pack").write_bytes(b"no pack" * 1000)
    unpacked()


def endless_pack() -> None:
    """A pack whose only piece says that it lies behind the file."""
    content = b"boardwright pack 1\n" + bytes(4) + (1 << 50).to_bytes(8, "big") + (4).to_bytes(4, "big") + b"root"
    with pathlib.Path("/build/artefacts.pack").open("wb") as target:
        subprocess.run(["zstd", "-q", "--stdout"], input=content, stdout=target, check=True)
    unpacked()


def escape() -> None:
    announce(write_image().rename("/build/dist/..data"), path="/build/dist/../../build/dist/..data")


def slow() -> None:
    def end(*_: object) -> None:
        emit("note", "unwound")
        emit("error", "asked to stop", kind="interrupted", hint="", exit_code=130)
        sys.exit(130)

    signal.signal(signal.SIGTERM, end)
    emit("start", "endless")
    emit("note", "begun")
    time.sleep(120)


def stubborn() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    emit("note", "begun")
    time.sleep(120)


def fail() -> None:
    emit("error", "the mirror is away", kind="download", hint="try another", exit_code=5)
    sys.exit(5)


def logged() -> None:
    log = pathlib.Path("/var/lib/boardwright/rooms/x/build.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("$ tool\nits last words\n")
    emit("error", "tool ended badly", kind="tool", hint=f"the full log is in {log}", exit_code=7)
    sys.exit(7)


def mute() -> None:
    emit("start", "mkfs")
    for number in range(30):
        print(f"word {number}", file=sys.stderr)
    sys.exit(3)


def nothing() -> None:
    sys.exit(0)


def inputs() -> None:
    root = pathlib.Path("/build")
    seen = {
        str(path): [oct(path.stat().st_mode & 0o7777), path.stat().st_uid, path.read_text()]
        for path in root.rglob("*")
        if path.is_file()
    }
    emit("result", "done", seen=seen, argv=sys.argv[1:], environment=dict(os.environ))


def shared(*, waits: bool = False) -> None:
    """Share a file, and take another: with the request, the environment and the boto3 of the container."""
    from builder.cache.remote import open_remote
    from builder.cache.store import Store
    from builder.request import load_request

    request = load_request(pathlib.Path(sys.argv[2]))
    assert request.shared_cache
    pathlib.Path("/tmp/made").write_text(f"made by {request.board}\n")
    with open_remote(request.shared_cache) as remote:
        store = Store(pathlib.Path("/var/lib/boardwright/cache/store"), remote)
        ref = store.find_ref("made")
        taken = bool(ref and store.link(ref.sha256, pathlib.Path("/tmp/taken")))
        large = pathlib.Path("/tmp/large")
        large.write_bytes(os.urandom(MIB) * 20)
        store.add(large)
        store.set_ref("made", store.add(pathlib.Path("/tmp/made")), {})
    text = pathlib.Path("/tmp/taken").read_text() if taken else ""
    mode = oct(pathlib.Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).stat().st_mode & 0o7777)
    emit("note", "shared")
    if waits:
        time.sleep(120)
    emit("result", "done", taken=text, mode=mode)


def shared_wait() -> None:
    shared(waits=True)


def loop() -> None:
    pathlib.Path("/var/lib/boardwright/stub.img").write_bytes(bytes(MIB))
    path = attach()
    pathlib.Path("/mnt/x").mkdir(parents=True)
    subprocess.run(["mke2fs", "-q", path], check=True)
    subprocess.run(["mount", path, "/mnt/x"], check=True)
    kind = subprocess.run(["findmnt", "-no", "FSTYPE", "/mnt/x"], check=True, capture_output=True, text=True).stdout
    subprocess.run(["umount", "/mnt/x"], check=True)
    subprocess.run(["losetup", "--detach", path], check=True)
    emit("result", "done", kind=kind.strip())


def attach(image: str = "/var/lib/boardwright/stub.img") -> str:
    from builder.image.loop import _free_device

    path = _free_device()
    subprocess.run(["losetup", str(path), image], check=True)
    return str(path)


def hold() -> None:
    from builder.system.workspace import RELEASERS, open_journal

    state = pathlib.Path("/var/lib/boardwright")
    image = state / "scratch-00000000/stub.img"
    image.parent.mkdir(exist_ok=True)
    image.write_bytes(bytes(MIB))
    with open_journal(state, "stub", RELEASERS) as journal, journal.holding("loop", image):
        emit("note", f"attached {attach(str(image))}")
        time.sleep(120)


def doctor() -> None:
    from builder.choices import Engine
    from builder.doctor.doctor import run_doctor

    state = pathlib.Path(sys.argv[sys.argv.index("--state") + 1])
    healthy = run_doctor(state, engine=Engine.LOCAL, fix="--fix" in sys.argv, json=True)
    sys.exit(0 if healthy else 4)


def shell() -> None:
    print(f"size {os.get_terminal_size()}" if sys.stdout.isatty() else "no terminal", flush=True)
    with contextlib.suppress(EOFError):
        while True:
            line = input()
            print(f"heard {line}", flush=True)
            print(f"aside {line}", file=sys.stderr, flush=True)
            if line == "bye":
                break
            if line == "size":
                print(f"size {os.get_terminal_size()}", flush=True)
    sys.exit(7)


def specs() -> None:
    """Find one red spec, whose message says what there is."""
    emit("start", "a spec runs")
    image = pathlib.Path(sys.argv[2])
    stem = image.name.partition(".img")[0]
    (image.parent / f"{stem}.specs.xml").write_text("<testsuites/>")
    seen = " ".join([*map(str, image.parent.iterdir()), *sys.argv])
    verdict = {"file": "x_spec.py", "name": "test_x", "outcome": "failed", "seconds": 0.1, "message": seen}
    facts = {"board": "x", "version": "1", "image": image.name, "digest": "0" * 64, "levels": ["offline", "booted"]}
    emit("result", "1 specs, 1 red", format=1, passed=False, seconds=0.1, verdicts=[verdict], **facts)
    emit("error", "x is not what it should be", kind="verify", hint="", exit_code=10)
    sys.exit(10)


MACHINE = """
import os, socket, sys, threading
server = socket.create_server(("0.0.0.0", 2222))
def serve():
    while True:
        server.accept()[0].sendall(b"SSH-2.0-stub")
threading.Thread(target=serve, daemon=True).start()
print("key", open("/build/machine/id.pub").read())
while line := input():
    print("heard", line, os.get_terminal_size() if sys.stdout.isatty() else "")
    if line in ("bye", "break"):
        break
sys.exit(3 if line == "break" else 0)
"""


def boot() -> None:
    """Make a machine that is a program of Python."""
    if "broken" in sys.argv:
        fail()
    emit("note", "user on the console: pirate, password secret")
    emit("result", "a machine", argv=["python3", "-uc", MACHINE], user="pirate")


VERBS = {"doctor": doctor, "shell": shell, "boot": boot}
if sys.argv[1] == "run":
    globals()[json.loads(pathlib.Path(sys.argv[2]).read_text())["version"]]()
else:
    (VERBS.get(sys.argv[1]) or globals()[sys.argv[-1]])()
