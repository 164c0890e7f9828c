"""What is sent by those who mean harm: `lcnet serve` as a program goes on, and answers others meanwhile."""

import io
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image

from lcnet import hub

httpx = pytest.importorskip("httpx", reason="httpx (extra: test) is not installed")
pytest.importorskip("uvicorn", reason="uvicorn (extra: serve) is not installed")

pytestmark = pytest.mark.slow
MODEL = "lcnet_050.cifar10"
JPEG = encoded(picture(), "JPEG")


@contextmanager
def served(*arguments, stderr=None, port=0, model=MODEL):
    """A server's process and its address; `stderr` instead of what is read for the address, which `port` says then."""
    command = [sys.executable, "-m", "lcnet", "serve", str(model), "--port", str(port), *arguments]
    process = subprocess.Popen(command, stderr=stderr or subprocess.PIPE, text=True)
    try:
        if stderr is None:
            port = int(re.search(r"on http://\S+:(\d+)", process.stderr.readline())[1])
        yield process, f"http://127.0.0.1:{port}"
        assert process.poll() is None, "the server has died"
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def url():
    with served("--log-format", "none", "--threads", "2") as (_, found):
        yield found


def memory(process):
    """Its most, in MB."""
    return int(Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def answers(url):
    return httpx.post(f"{url}/v1/classify", content=JPEG, timeout=30).status_code == 200


class Asked:
    """Health is asked for all the time, and must be well; `slowest`: seconds of the slowest answer."""

    def __init__(self, url):
        self.url, self.slowest, self.failed, self._over = url, 0.0, 0, threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()
        assert self.failed == 0

    def _ask(self):
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self._over.wait(0.01):
                begun = time.monotonic()
                try:
                    self.failed += client.get("/health/live").status_code != 200
                except httpx.HTTPError:
                    self.failed += 1
                self.slowest = max(self.slowest, time.monotonic() - begun)


def header_only_png(width, height):
    """A PNG that says how large it is, with one row of pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def flat(width, height, format="PNG"):
    file = io.BytesIO()
    Image.new("L", (width, height), 128).save(file, format)
    return file.getvalue()


def animated(frames):
    images = [Image.fromarray(np.full((40, 40), i % 256, np.uint8)) for i in range(frames)]
    file = io.BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (lambda: header_only_png(50_000, 50_000), 413),
        (lambda: header_only_png(2**31 - 1, 2**31 - 1), 413),
        (lambda: header_only_png(7_000, 7_000), 400),
        (lambda: flat(7_000, 7_000), 200),
        (lambda: flat(7_100, 7_100), 413),
        (lambda: flat(65_535, 1), 200),
        (lambda: flat(1, 65_535), 200),
        (lambda: flat(65_500, 500, "JPEG"), 200),
        (lambda: flat(65_535, 800), 413),
        (lambda: animated(300), 200),
    ],
    ids=["2500 MP", "2^62", "says 49 MP", "49 MP", "50.4 MP", "wide", "high", "wide JPEG", "wide 52 MP", "animated"],
)
def test_pictures_that_are_more_than_they_seem(url, data, status):
    answer = httpx.post(f"{url}/v1/classify", content=data(), timeout=60)
    assert answer.status_code == status, answer.text
    assert answers(url)


def test_bombs_take_memory_in_turn():
    with served("--log-format", "none", "--threads", "4") as (process, url):
        bomb, statuses = flat(7_000, 7_000), []
        threads = [
            threading.Thread(
                target=lambda: statuses.append(httpx.post(f"{url}/v1/classify", content=bomb, timeout=60).status_code)
            )
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        with Asked(url) as asked:
            for thread in threads:
                thread.join()
        assert set(statuses) <= {200, 504} and 200 in statuses
        assert memory(process) < 1000 and asked.slowest < 2


def test_a_form_of_a_million_parts(url):
    body = b"--b\r\n\r\n\r\n" * 1_000_000 + b"--b--\r\n"
    with Asked(url) as asked:
        answer = httpx.post(
            f"{url}/v1/classify", content=body, headers={"content-type": "multipart/form-data; boundary=b"}, timeout=60
        )
    assert answer.status_code in (400, 413, 422) and asked.slowest < 1, (answer.text, asked.slowest)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_body_is_not_unpacked(url, encoding):
    answer = httpx.post(f"{url}/v1/classify", content=zlib.compress(JPEG), headers={"content-encoding": encoding})
    assert answer.status_code == 415


def connected(url):
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def test_a_hundred_thousand_chunks_of_a_byte(url):
    start = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Asked(url) as asked, connected(url) as connection:
        connection.sendall(start + b"1;name=value\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 415")
    assert asked.slowest < 1


def test_thousands_of_requests_in_one_go(url):
    with Asked(url) as asked, connected(url) as connection:
        get = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n"
        sender = threading.Thread(
            target=connection.sendall, args=((get + b"\r\n") * 5_000 + get + b"Connection: close\r\n\r\n",)
        )
        sender.start()
        found = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        sender.join()
    assert found.count(b"HTTP/1.1 200 OK") == 5_001 and asked.slowest < 1


def test_half_bodies_and_lengths_that_are_too_short(url):
    head = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    for _ in range(100):  # more than there are places
        with connected(url) as connection:
            connection.sendall(head % len(JPEG) + JPEG[: len(JPEG) // 2])
    with connected(url) as connection:
        connection.sendall(head % 100 + JPEG)  # what is behind the body is no request
        found = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", found) in ([b"400", b"400"], [b"400"])
    assert answers(url) and "lcnet_in_flight 0.0" in httpx.get(f"{url}/metrics").text


def test_ten_thousand_connections():
    with served("--log-format", "none") as (process, url), ExitStack() as stack:
        host, port = url.removeprefix("http://").split(":")
        kept = httpx.Client(base_url=url, timeout=30)
        assert kept.get("/health/live").status_code == 200
        opened = []
        for _ in range(10_000):
            try:
                opened.append(stack.enter_context(socket.create_connection((host, int(port)), timeout=20)))
            except OSError:  # of this process, or of the system: there are no more to be had
                break
        assert len(opened) > 2_500
        assert kept.post("/v1/classify", content=JPEG).status_code == 200  # who was there is served
        assert memory(process) < 400
        stack.close()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if answers(url):
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError("nobody is let in although all have gone")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_for_the_log():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open("/dev/full", "w") as full, served("--log-format", "json", stderr=full, port=port) as (_, url):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                httpx.get(f"{url}/health/live")
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        assert all(answers(url) for _ in range(20))


def test_a_model_file_that_shrinks_under_the_server(tmp_path):
    file = tmp_path / "net.safetensors"
    file.write_bytes(hub.locate(MODEL).path.read_bytes())
    with served("--log-format", "none", model=file) as (_, url):
        before = httpx.post(f"{url}/v1/classify", content=JPEG).json()["results"]
        os.truncate(file, 0)
        after = httpx.post(f"{url}/v1/classify", content=JPEG).json()["results"]
        assert after == before
        assert httpx.post(f"{url}/v1/embed", content=JPEG).status_code == 200
        assert httpx.post(f"{url}/v1/features", content=JPEG).status_code == 200
        assert httpx.post(f"{url}/v1/models/net/reload").status_code == 422
        file.unlink()
        assert httpx.post(f"{url}/v1/models/net/reload").status_code in (404, 422)
        assert httpx.post(f"{url}/v1/classify", content=JPEG).json()["results"] == before
