# SPDX-License-Identifier: MIT
"""Program for the containers of the specs. It uses only modules of Python's smallest package.

answer TEXT       answer HTTP with a text
relay HOST PORT   answer HTTP with the answer of another server
greet HOST PORT   print the first output of a server
report FILE...    print the machine type and the content of files, as JSON
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

PORT = 8000


def receive(host: str, port: str, question: bytes = b"") -> bytes:
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        if not question:
            return connection.recv(4096)
        connection.sendall(question)
        parts = []
        while part := connection.recv(4096):
            parts.append(part)
        return b"".join(parts)


def serve(make: Callable[[], bytes]) -> None:
    with socket.create_server(("", PORT)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                text = make()
                head = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(text)
                connection.sendall(head + text)


def main(verb: str, *words: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if verb == "answer":
        serve(" ".join(words).encode)
    elif verb == "relay":
        serve(lambda: receive(words[0], words[1], b"GET / HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[2])
    elif verb == "greet":
        print(receive(words[0], words[1]).decode().strip())
    elif verb == "report":
        files = {name: Path(name).read_text(encoding="ascii").strip() for name in words}
        print(json.dumps({"machine": os.uname().machine, "files": files}))


main(*sys.argv[1:])
