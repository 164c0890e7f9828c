"""A small hub on 127.0.0.1 that speaks as much of the Hugging Face protocol as a download needs, counting requests."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import unquote

FIRST, SECOND = "1" * 40, "2" * 40  # commits

Send = Callable[[BinaryIO, bytes], None]
Headers = dict[str, str]


def whole(out: BinaryIO, data: bytes) -> None:
    out.write(data)


def half(out: BinaryIO, data: bytes) -> None:
    """The connection closes in the middle of the file."""
    out.write(data[: len(data) // 2])


def altered(out: BinaryIO, data: bytes) -> None:
    """Another file of the same size under the same ETag."""
    out.write(bytes([data[0] ^ 1]) + data[1:])


def steadily(size: int, pause: float) -> Send:
    """A few bytes at a time."""

    def send(out: BinaryIO, data: bytes) -> None:
        for at in range(0, len(data), size):
            time.sleep(pause)  # not behind the last: whoever has all may ask for more on this connection
            out.write(data[at : at + size])
            out.flush()

    return send


def _blob(data: bytes) -> bytes:
    """What git hashes of a file."""
    return f"blob {len(data)}\0".encode() + data


@dataclass
class Repo:
    """Files by commit, commits by revision, and what stands in the way of getting them."""

    commits: dict[str, dict[str, bytes]]
    revisions: dict[str, str] = field(default_factory=lambda: {"main": FIRST})
    status: int = 200
    code: str = ""
    token: str = ""


class Hub:
    """The state of the server: `send` puts the bytes of weights on the wire, `requests` lists (method, path).

    `stated`: hashes that are stated of files instead of theirs. `alter` changes the headers of an answer; with `moved` a file
    is elsewhere, and its headers are in a redirect.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.repos: dict[str, Repo] = {}
        self.send: Send = whole
        self.alter: Callable[[Headers], Headers] = lambda headers: headers
        self.moved = False
        self.stated: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []

    def count(self, method: str, file: str) -> int:
        return sum(m == method and path.endswith(f"/{file}") for m, path in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        self.hub.requests.append((self.command, self.path))
        match = re.fullmatch(r"(?:/elsewhere)?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        repo = self.hub.repos.get(match[1]) if match else None
        if match is None or repo is None:
            return self.refuse(401, "RepoNotFound")
        if repo.status != 200:
            return self.refuse(repo.status, repo.code)
        if repo.token and self.headers["Authorization"] != f"Bearer {repo.token}":
            return self.refuse(401, "RepoNotFound")
        revision = unquote(match[2])
        commit = repo.revisions.get(revision, revision)
        if commit not in repo.commits:
            return self.refuse(404, "RevisionNotFound")
        if match[3] not in repo.commits[commit]:
            return self.refuse(404, "EntryNotFound", commit)
        self.give(match[3], repo.commits[commit][match[3]], commit, body)

    def refuse(self, status: int, code: str, commit: str = "") -> None:
        self.head(status, {"Content-Length": "0", "X-Error-Code": code, "X-Repo-Commit": commit})

    def head(self, status: int, headers: Headers) -> None:
        self.send_response(status)
        for name, value in self.hub.alter(headers).items():
            if value:  # one without a name makes an answer that is not a hub's
                self.send_header(name, value)
        self.end_headers()

    def give(self, file: str, data: bytes, commit: str, body: bool) -> None:
        large = file.endswith((".safetensors", ".bin", ".pdiparams"))
        etag = self.hub.stated.get(file) or (hashlib.sha256(data) if large else hashlib.sha1(_blob(data))).hexdigest()
        stated = {"X-Repo-Commit": commit, "X-Linked-Etag" if large else "ETag": f'"{etag}"'}
        if self.hub.moved and not self.path.startswith("/elsewhere"):
            linked = {"X-Linked-Size": str(len(data)), "Location": f"{self.hub.url}/elsewhere{self.path}"}
            return self.head(302, {**stated, **linked, "Content-Length": "0"})
        self.head(200, {**stated, "Content-Length": str(len(data))})
        if body:
            (self.hub.send if large else whole)(self.wfile, data)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: a test reads `requests`."""


@contextmanager
def serve() -> Iterator[Hub]:
    """Run a hub on a free port of the loopback interface."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.hub = hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
