"""A server in the process of the tests, and what is sent to it, for all of `test_serve_*`."""

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from pictures import encoded, picture

import lcnet

httpx = pytest.importorskip("httpx", reason="httpx (extra: test) is not installed")
serve = pytest.importorskip("lcnet.serve", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="uvicorn (extra: serve) is not installed")

MODEL = "lcnet_050.cifar10"
TOKEN = "a-token-of-some-length"


def jpeg(seed=0, **size):
    return encoded(picture(seed=seed, **size), "JPEG")


@pytest.fixture(scope="module")
def model():
    return lcnet.load(MODEL, threads=1)


class Held:
    """Pictures stop before they are decoded until `go` is set; `begun` counts them."""

    def __init__(self, monkeypatch):
        from lcnet.serve.work import Work

        self.go, self.begun, ready = threading.Event(), [], Work._ready

        def held(work, data, *arguments):
            self.begun.append(data)
            assert self.go.wait(20)
            return ready(work, data, *arguments)

        monkeypatch.setattr(Work, "_ready", held)

    def wait(self, count):
        wait_for(lambda: len(self.begun) >= count)


@pytest.fixture
def held(monkeypatch):
    found = Held(monkeypatch)
    yield found
    found.go.set()


def wait_for(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not happen within 10 seconds"
        time.sleep(0.005)


@contextmanager
def running(**options):
    with serve.running(MODEL, **{"threads": 1, **options}) as url:
        yield url


def connected(url, timeout=10):
    """A socket to a server."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def raw(url, data, timeout=10):
    """Send bytes as they are; return all that comes back until the connection is closed."""
    with connected(url, timeout) as connection:
        connection.sendall(data)
        found = b""
        with suppress(ConnectionResetError):
            while part := connection.recv(65536):
                found += part
        return found


def request(body=b"", path="/v1/classify", head=""):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answer_of(connection):
    """The next answer of a connection: its status, headers by name, and JSON."""
    reader = connection.makefile("rb", buffering=0)  # nothing of the answer after it
    status = int(reader.readline().split()[1])
    headers = {}
    while line := reader.readline().strip().decode():
        name, _, value = line.partition(": ")
        headers[name] = value
    body = b""
    while len(body) < int(headers["content-length"]):
        body += reader.read(int(headers["content-length"]) - len(body))
    return status, headers, json.loads(body)


def number(url, name):
    text = httpx.get(f"{url}/metrics").text
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))
