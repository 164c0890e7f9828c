"""What the server takes on and what not: permits, deadlines, clients that dawdle, lie or vanish, threads that die."""

import ctypes
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving import MODEL, TOKEN, connected, held, httpx, jpeg, number, raw, request, running, serve, wait_for  # noqa: F401

import lcnet
from lcnet.errors import InputError


def test_one_more_than_may_wait_is_refused_at_once_and_unread(held):
    with running(queue=2) as url, ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(httpx.post, f"{url}/v1/classify", content=jpeg(), timeout=30) for _ in range(3)]
        wait_for(lambda: number(url, "lcnet_in_flight ") == 3)
        with connected(url, 5) as connection:
            start = time.perf_counter()
            connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")  # and no body
            answer = connection.recv(65536)
            assert time.perf_counter() - start < 0.5
        assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in answer and b'"overloaded"' in answer
        assert httpx.get(f"{url}/health/live").status_code == 200
        held.go.set()
        assert [w.result().status_code for w in waiting] == [200] * 3
        assert number(url, 'lcnet_rejected_total{reason="overloaded"}') == 1 and number(url, "lcnet_in_flight ") == 0


def test_a_deadline_holds_in_the_queue_and_what_is_late_is_not_begun(held):
    with running(timeout=0.3) as url, ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(httpx.post, f"{url}/v1/classify", content=jpeg(i), timeout=30) for i in range(3)]
        assert [a.result().status_code for a in answers] == [504] * 3
        assert len(held.begun) == 1
        held.go.set()
        assert httpx.post(f"{url}/v1/classify", content=jpeg()).status_code == 200
        assert len(held.begun) == 2  # the two that waited never were


def test_the_picture_of_a_client_that_has_gone_is_not_decoded(held):
    with running() as url:
        first = connected(url)
        first.sendall(request(jpeg(1)))
        held.wait(1)
        second = connected(url)
        second.sendall(request(jpeg(2)))
        wait_for(lambda: number(url, "lcnet_in_flight ") == 2)
        second.close()
        wait_for(lambda: number(url, "lcnet_in_flight ") == 1)
        held.go.set()
        assert first.recv(100).startswith(b"HTTP/1.1 200")
        first.close()
        assert httpx.post(f"{url}/v1/classify", content=jpeg(3)).status_code == 200
        assert held.begun == [jpeg(1), jpeg(3)]
        assert number(url, 'lcnet_requests_total{route="/v1/classify",status="499"}') == 1


def test_bodies_in_flight_are_bounded(held):
    with running(max_body=1000, max_bytes_in_flight=2500) as url, ThreadPoolExecutor(2) as pool:
        small = jpeg()
        assert 400 < len(small) < 1000
        data = small.ljust(1000, b"\0")
        waiting = [pool.submit(httpx.post, f"{url}/v1/classify", content=data, timeout=30) for _ in range(2)]
        wait_for(lambda: number(url, "lcnet_body_bytes_in_flight ") == 2000)
        assert httpx.post(f"{url}/v1/classify", content=data).json()["error"]["code"] == "overloaded"
        held.go.set()
        assert [w.result().status_code for w in waiting] == [200, 200]
        assert number(url, "lcnet_body_bytes_in_flight ") == 0


def test_bytes_that_nobody_announced_are_counted_as_they_come():
    head = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with running(max_bytes_in_flight=500_000) as url, connected(url) as first, connected(url) as second:
        first.sendall(head + b"%x\r\n" % 300_000 + bytes(300_000))
        wait_for(lambda: number(url, "lcnet_body_bytes_in_flight ") == 300_000)
        second.sendall(head + b"%x\r\n" % 300_000 + bytes(300_000))
        assert second.recv(4096).startswith(b"HTTP/1.1 503")


def test_headers_that_do_not_come_are_not_waited_for():
    with running(read_timeout=0.3) as url:
        for start in (b"", b"POST /v1/classify HT", b"POST / HTTP/1.1\r\nX-A: 1\r\n"):
            begun = time.monotonic()
            assert raw(url, start).startswith(b"HTTP/1.1 408") and time.monotonic() - begun < 5


def test_a_header_byte_now_and_then_does_not_help():
    with running(read_timeout=0.4) as url, connected(url, 5) as connection:
        begun = time.monotonic()
        with pytest.raises(OSError):
            for byte in b"POST /v1/classify HTTP/1.1\r\n" + b"X: 1\r\n" * 1000:
                connection.sendall(bytes((byte,)))
                time.sleep(0.05)
        assert time.monotonic() - begun < 5


def test_headers_without_end():
    with running() as url:
        assert raw(url, b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000)[:12] == b"HTTP/1.1 431"


def test_a_body_that_does_not_come():
    with running(read_timeout=0.4, queue=0) as url:
        start = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nabc"
        with connected(url, 5) as connection:
            connection.sendall(start)
            time.sleep(0.3)  # it has lent its permit, the only one, by now
            assert httpx.post(f"{url}/v1/classify", content=jpeg()).status_code == 200
            assert b'"slow"' in connection.recv(65536)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999\r\n\r\n", 413),
        (b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)
def test_lengths_that_lie(data, status):
    with running() as url:
        assert raw(url, data).startswith(b"HTTP/1.1 %d" % status)


def test_chunks_without_end():
    with running(max_body=100_000, read_timeout=0.5) as url:
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        data = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + 5 * chunk
        assert raw(url, data).startswith(b"HTTP/1.1 413")  # and then the connection is closed, though nothing ended


def test_a_body_that_is_too_large_is_answered_all_the_same():
    with running(max_body=100_000) as url, httpx.Client(base_url=url) as client:
        for _ in range(3):  # on one connection
            answer = client.post("/v1/classify", content=bytes(20_000_000))
            assert answer.status_code == 413 and answer.json()["error"]["code"] == "too_large"
            assert client.post("/v1/classify", content=jpeg()).status_code == 200


def test_requests_in_one_go_are_answered_in_order():
    with running() as url:
        several = [request(jpeg(seed), head=f"X-Request-ID: r{seed}\r\n") for seed in range(5)]
        close = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        found = raw(url, b"".join(several) + close).decode()
        model = lcnet.load(MODEL, threads=1)
        labels = [json.loads(part.split("\r\n\r\n")[1])["results"][0]["top"] for part in found.split("HTTP/1.1 200 OK")[1:-1]]
        assert labels == [model.classify(jpeg(seed))[0].to_dict()["top"] for seed in range(5)]
        assert [found.index(f"x-request-id: r{seed}") for seed in range(5)] == sorted(
            found.index(f"r{s}\r") - 14 for s in range(5)
        )


def test_more_connections_than_may_be_are_told_so():
    with running(max_connections=5) as url:
        several = [connected(url, 5) for _ in range(5)]
        for connection in several:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert raw(url, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 503")
        for connection in several:
            connection.close()
        wait_for(lambda: httpx.get(f"{url}/health/live").status_code == 200)


def test_a_log_that_cannot_be_written_costs_lines_and_no_request():
    from lcnet.serve.exchange import Exchange
    from lcnet.serve.logs import HELD, Log

    reading, writing = os.pipe()
    exchange = Exchange("GET", "i", "c", {})
    with open("/dev/full", "w") as full, open(writing, "w") as stuck:
        for stream, patient in ((full, False), (stuck, True)):
            log, start = Log("json", stream), time.monotonic()
            for _ in range(10 * HELD):
                log.request(exchange)
            assert time.monotonic() - start < 10
            assert not patient or log.dropped
        os.close(reading)
        log.close()  # its thread is done with the pipe


@pytest.mark.parametrize("style", ["text", "json"])
def test_the_log_has_a_line_a_request_and_no_secret(capfd, style):
    with running(log=style, tokens=[TOKEN]) as url:
        headers = {"authorization": f"Bearer {TOKEN}", "x-request-id": "mine"}
        files = [("file", ("secret-name.jpg", jpeg()))]
        assert httpx.post(f"{url}/v1/classify?top_k=2", files=files, headers=headers).status_code == 200
    line = next(line for line in capfd.readouterr().err.splitlines() if "mine" in line)
    assert "/v1/classify" in line and "200" in line and not any(s in line for s in (TOKEN, "secret-name", "top_k"))
    if style == "json":
        assert json.loads(line).keys() >= {"time", "queue_ms", "decode_ms", "network_ms", "pixels", "bytes", "pictures"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_replaced(held):
    with running() as url, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.post, f"{url}/v1/classify", content=jpeg(), timeout=30)
        held.wait(1)
        thread = next(t for t in threading.enumerate() if t.name == "lcnet-serve")
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)) == 1
        held.go.set()
        assert answer.result().json()["error"]["code"] == "internal"
        wait_for(lambda: not thread.is_alive())
        assert httpx.post(f"{url}/v1/classify", content=jpeg()).status_code == 200
        assert number(url, "lcnet_threads_replaced ") == 1


def test_an_error_of_ours_is_told_without_details(monkeypatch, capfd):
    from lcnet.serve.work import Work

    def broken(*_):
        raise RuntimeError("a secret place")

    monkeypatch.setattr(Work, "_ready", broken)
    with running() as url:
        answer = httpx.post(f"{url}/v1/classify", content=jpeg(), headers={"x-request-id": "mine"})
    assert answer.status_code == 500 and "secret" not in answer.text and answer.json()["error"]["request_id"] == "mine"
    said = capfd.readouterr().err
    assert "a secret place" in said and "mine" in said


def test_a_token_is_asked_for_but_by_health_and_pages():
    with running(tokens=[TOKEN, "another-one-to-come"]) as url:
        for given in (None, "", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer caf\u00e9".encode()):
            answer = httpx.post(f"{url}/v1/classify", content=jpeg(), headers={} if given is None else {"authorization": given})
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer" and TOKEN not in answer.text
        for token in (TOKEN, "another-one-to-come"):
            headers = {"authorization": f"Bearer {token}"}
            assert httpx.post(f"{url}/v1/classify", content=jpeg(), headers=headers).status_code == 200
        assert httpx.get(f"{url}/metrics").status_code == 401
        assert httpx.get(f"{url}/health/live").status_code == 200 and httpx.get(f"{url}/openapi.json").status_code == 200


def test_every_answer_has_its_headers():
    with running() as url:
        for answer in (httpx.get(f"{url}/health/live"), httpx.get(f"{url}/none"), httpx.post(f"{url}/v1/classify")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"] and answer.headers["x-request-id"]
        for bad in ("a b", "x" * 129, "<script>", "é".encode()):
            given = httpx.get(f"{url}/health/live", headers={"x-request-id": bad}).headers["x-request-id"]
            assert given.isalnum() and len(given) == 16
        page = httpx.get(f"{url}/").headers
        assert page["x-frame-options"] == "DENY" and page["referrer-policy"] == "no-referrer"
        assert page["cross-origin-opener-policy"] == "same-origin" and "script-src 'self'" in page["content-security-policy"]
        answer = httpx.post(f"{url}/v1/classify", content=jpeg())
        parts = dict(p.split(";dur=") for p in answer.headers["server-timing"].split(", "))
        assert {f"{k}_ms": float(v) for k, v in parts.items()} == answer.json()["timing"]


def test_pages_of_other_sites_may_not_ask_unless_they_are_named():
    site = {"origin": "https://a.example", "sec-fetch-site": "cross-site"}
    with running() as url:
        assert httpx.post(f"{url}/v1/classify", content=jpeg(), headers=site).status_code == 403
    with running(cors_origins=["https://a.example"]) as url:
        answer = httpx.post(f"{url}/v1/classify", content=jpeg(), headers=site)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://a.example"
        asked = {**site, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        assert httpx.options(f"{url}/v1/classify", headers=asked).status_code == 200
        other = {**site, "origin": "https://b.example"}
        assert httpx.post(f"{url}/v1/classify", content=jpeg(), headers=other).status_code == 403


@pytest.mark.parametrize(
    "limits", [{"threads": 0}, {"queue": -1}, {"timeout": 0}, {"tokens": "abc"}, {"max_pixel": 1}, {"timeout": float("nan")}]
)
def test_limits_that_cannot_be_meant(limits):
    with pytest.raises(InputError, match=next(iter(limits))):
        serve.app(MODEL, **limits)


def test_names_of_models():
    from lcnet.serve.models import named

    assert named("a/b/net.safetensors") == {"net": "a/b/net.safetensors"}
    assert named(["x=hf-hub:o/r", "lcnet_050.cifar10"]) == {"x": "hf-hub:o/r", "lcnet_050.cifar10": "lcnet_050.cifar10"}
    assert named(["hf-hub:owner/repo@main"]) == {"repo": "hf-hub:owner/repo@main"}
    for wrong in ([], ["a/x.safetensors", "b/x.safetensors"], {"a b": "x"}, ["/x/\u202e.safetensors"]):
        with pytest.raises(InputError):
            named(wrong)


def test_it_can_be_mounted_in_another_application():
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.testclient import TestClient

    client = TestClient(Starlette(routes=[Mount("/ai", serve.app(MODEL, threads=1, tokens=[TOKEN]))]))
    assert client.get("/ai/health/ready").json() == {"ready": True}
    assert client.post("/ai/v1/classify", content=jpeg()).status_code == 401
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.post("/ai/v1/classify", content=jpeg(), headers=headers).json()["model"] == MODEL


def test_several_processes_keep_no_more_than_one(tmp_path, monkeypatch):
    from lcnet.serve.uncertain import Keeper

    monkeypatch.setattr("lcnet.serve.uncertain.MOST", 10)
    monkeypatch.setattr("lcnet.serve.uncertain.MOST_BYTES", 20_000)
    result = lcnet.load(MODEL, threads=1).classify(jpeg())[0]
    kept = lambda: [path.stat().st_size for path in tmp_path.iterdir() if path.suffix != ".json"]  # noqa: E731
    for generation in range(3):  # as when they die and are replaced
        keepers = [Keeper(tmp_path, 1.0, 2) for _ in range(2)]
        for seed in range(8):
            for place, keeper in enumerate(keepers):
                keeper._keep(jpeg(100 * generation + 10 * seed + place), MODEL, result)
    assert 8 <= len(kept()) <= 10
    keepers[0]._keep(jpeg(), MODEL, result)
    assert len(kept()) <= 10 and sum(kept()) <= 20_000
    for path in tmp_path.iterdir():
        path.unlink()
    keepers[0]._keep(bytes(15_000), MODEL, result)  # two of them are too many bytes
    assert kept() == []


def test_uncertain_pictures_are_kept_and_not_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr("lcnet.serve.uncertain.MOST", 3)
    with running(keep_uncertain=tmp_path / "keep", keep_below=1.0) as url:
        for seed in (1, 1, 2, 3, 4, 5):
            httpx.post(f"{url}/v1/classify", content=jpeg(seed))
            time.sleep(0.02)
        wait_for(lambda: len(list((tmp_path / "keep").glob("*.json"))) == 3)
    kept = sorted(path.read_bytes() for path in (tmp_path / "keep").iterdir() if path.suffix == ".jfif")
    assert kept == sorted(jpeg(seed) for seed in (1, 2, 3))
    assert "labels" in json.loads(next((tmp_path / "keep").glob("*.json")).read_text())
