"""A server that has no place: refused by the head of a request, on a connection that goes on; and what errors leave behind."""

import asyncio
import gc
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from unittest.mock import Mock

import pytest
from serving import MODEL, TOKEN, answer_of, connected, held, httpx, jpeg, number, raw, request, running, wait_for  # noqa: F401

import lcnet.serve
from lcnet.serve.server import in_thread

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def full(held, **options):
    """A server whose only place is taken."""
    headers = {"authorization": f"Bearer {TOKEN}"} if "tokens" in options else {}
    with running(queue=0, **options) as url, ThreadPoolExecutor(1) as pool:
        inside = pool.submit(httpx.post, f"{url}/v1/classify", content=jpeg(), timeout=30, headers=headers)
        held.wait(1)
        yield url
        held.go.set()
        assert inside.result().status_code == 200


def test_it_says_the_same_as_the_usual_way(held):
    usual = "traceparent: 00-1234\r\n"  # for which more is looked at than the head
    with full(held) as url, connected(url) as connection:
        answers = []
        for more in ("", usual):
            connection.sendall(request(jpeg(), head=f"{more}X-Request-ID: mine\r\n"))
            answers.append(answer_of(connection))
            answers[-1][1].pop("date", None)
        assert answers[0] == answers[1]
        status, headers, said = answers[0]
        assert (status, said["error"]["code"], headers["retry-after"]) == (503, "overloaded", "1")
        assert said["error"]["request_id"] == headers["x-request-id"] == "mine"
        assert number(url, 'lcnet_requests_total{route="/v1/classify",status="503"}') == 2
        assert number(url, 'lcnet_request_seconds_count{route="/v1/classify"}') == 2
        assert number(url, 'lcnet_rejected_total{reason="overloaded"}') == 2


def test_a_refused_body_is_skipped_and_its_connection_goes_on(held):
    body = bytes(100_000)
    with full(held) as url, connected(url) as connection:
        for _ in range(3):
            head, _, rest = request(body).partition(b"\r\n\r\n")
            connection.sendall(head + b"\r\n\r\n")
            assert answer_of(connection)[0] == 503  # before any of the body
            for at in range(0, len(rest), 30_000):
                connection.sendall(rest[at : at + 30_000])
        connection.sendall(HEALTH)
        assert answer_of(connection)[::2] == (200, {"live": True})
        held.go.set()
        wait_for(lambda: number(url, "lcnet_in_flight ") == 0)
        connection.sendall(request(jpeg()))
        assert answer_of(connection)[0] == 200


def test_refusals_in_one_go_are_in_order(held):
    several = b"".join(request(jpeg(), head=f"X-Request-ID: r{i}\r\n") for i in range(20))
    close = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with full(held) as url:
        found = raw(url, several + close).decode()
        assert found.count("HTTP/1.1 503") == 20 and found.endswith('{"live": true}')
        assert [found.index(f"x-request-id: r{i}\r") for i in range(20)] == sorted(
            found.index(f"x-request-id: r{i}\r") for i in range(20)
        )


def test_a_head_behind_a_refused_body_is_counted_without_it(held, monkeypatch):
    monkeypatch.setattr("lcnet.serve.protocol.HEAD", 500)
    with full(held) as url, connected(url) as connection:
        connection.sendall(request(bytes(1000)) + HEALTH[:10])
        assert answer_of(connection)[0] == 503
        connection.sendall(HEALTH[10:])
        assert answer_of(connection)[::2] == (200, {"live": True})


def test_an_old_client_is_answered_and_left_as_ever(held):
    """HTTP/1.0 without the header that keeps a connection: it reads until the end."""
    with full(held) as url:
        old = request(jpeg(), head="Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
        found = raw(url, old, timeout=5)
        assert found.startswith(b"HTTP/1.1 503") and b"connection: close" in found


def test_who_reads_no_answers_gets_no_more_of_them():
    """Else they would be held here, as many as are asked for."""
    import uvicorn
    from uvicorn.server import ServerState

    from lcnet.serve.protocol import protocol_class

    app = lcnet.serve.app(MODEL, threads=1, queue=0)
    app.service.gate.inside = app.service.limits.permits
    transport = Mock(**{"is_closing.return_value": False, "get_extra_info.return_value": None})

    async def talk():
        config = uvicorn.Config(app, http=protocol_class(app), ws="none", log_config=None)
        config.load()
        connection = config.http_protocol_class(config=config, server_state=ServerState(), app_state={})
        connection.connection_made(transport)
        connection.data_received(request(b"x"))
        assert transport.write.call_count == 1
        connection.pause_writing()  # as the transport says when what it holds is much
        connection.data_received(request(b"x") * 100)
        await asyncio.sleep(0.05)
        assert transport.write.call_count == 1 and transport.pause_reading.called
        connection.resume_writing()
        while transport.write.call_count < 101:
            await asyncio.sleep(0.01)
        connection.connection_lost(None)

    asyncio.run(asyncio.wait_for(talk(), 10))


@pytest.mark.parametrize("to", ["h2c", "websocket"])
@pytest.mark.parametrize("places", [0, 1])
def test_a_body_behind_an_upgrade_is_no_request(to, places):
    app = lcnet.serve.app(MODEL, threads=1)
    app.service.gate.inside = app.service.limits.permits - places
    head, _, _ = request(HEALTH, head=f"Connection: Upgrade\r\nUpgrade: {to}\r\n").partition(b"\r\n\r\n")
    with in_thread(app, "127.0.0.1", 0) as url, connected(url) as connection:
        connection.sendall(head + b"\r\n\r\n")
        status, headers, _ = answer_of(connection)
        with suppress(ConnectionError):
            connection.sendall(HEALTH)
            assert connection.recv(1000) == b""
        assert (status, headers["connection"]) == (400 if places else 503, "close")


def test_behind_a_request_that_is_served_one_waits_its_turn(held):
    with running(queue=0) as url, connected(url) as connection:
        connection.sendall(request(jpeg(1)) + request(jpeg(2)))
        held.wait(1)
        held.go.set()
        assert [answer_of(connection)[0] for _ in range(2)] == [200, 200]


def test_a_refused_body_that_does_not_come_is_not_waited_for(held):
    with full(held, read_timeout=0.3) as url, connected(url) as connection:
        connection.sendall(request(bytes(1000))[:-1])
        assert answer_of(connection)[0] == 503
        begun = time.monotonic()
        assert connection.recv(100) == b"" and time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ("", b"", 503),
        ("Expect: 100-continue\r\n", bytes(10), 503),
        ("Origin: https://a.example\r\nSec-Fetch-Site: cross-site\r\n", bytes(10), 403),
        ("", bytes(2_000_000), 503),
        ("", bytes(4_000_000), 413),
    ],
    ids=["nothing", "expect", "another site's", "much", "too much"],
)
def test_what_is_unusual_goes_the_usual_way(held, head, body, status):
    with full(held, max_body=3_000_000) as url, connected(url) as connection:
        connection.sendall(request(body, head=head))
        assert answer_of(connection)[0] == status


def test_who_has_no_token_is_told_so_all_the_same(held):
    with full(held, tokens=[TOKEN]) as url, connected(url) as connection:
        for token, status in (("wrong", 401), (TOKEN, 503)):
            connection.sendall(request(jpeg(), head=f"Authorization: Bearer {token}\r\n"))
            assert answer_of(connection)[0] == status


def test_refusals_are_logged(held, capfd):
    with full(held, log="json") as url, connected(url) as connection:
        connection.sendall(request(jpeg(), head="X-Request-ID: mine\r\n"))
        assert answer_of(connection)[0] == 503
    line = next(line for line in capfd.readouterr().err.splitlines() if "mine" in line)
    assert '"status": 503' in line and '"error": "overloaded"' in line


def test_an_idle_connection_is_closed_after_a_refusal_too(held, monkeypatch):
    monkeypatch.setattr("lcnet.serve.server.KEEP_ALIVE", 0.3)
    with full(held) as url, connected(url) as connection:
        connection.sendall(request(jpeg()))
        assert answer_of(connection)[0] == 503
        assert connection.recv(100) == b""


def test_errors_leave_nothing_that_only_the_collector_finds():
    app = lcnet.serve.app(MODEL, threads=1, read_timeout=0.2, max_images=2)
    before = weakref.ref(app.service.models.get().model)
    with in_thread(app, "127.0.0.1", 0) as url, httpx.Client(base_url=url) as client:
        gc.collect()
        gc.disable()
        try:
            for content in (jpeg()[:200], b"GIF87", b"", jpeg()):
                client.post("/v1/classify", content=content)
            client.post("/v1/classify", json={"images": "none"})
            client.post("/v1/classify", files=[("file", jpeg())] * 3)
            client.post("/v1/embed", files=[("file", b"x"), ("file", jpeg())], headers={"accept": "application/x-npy"})
            client.post("/v1/classify?top_k=x", content=jpeg())
            with connected(url) as slow:
                slow.sendall(request(jpeg())[:-1])
                assert answer_of(slow)[0] == 408
            with connected(url) as gone:
                gone.sendall(request(jpeg(1, width=2000, height=2000)))
            assert client.post(f"/v1/models/{MODEL}/reload").status_code == 200
            wait_for(lambda: number(url, "lcnet_in_flight ") == 0)
            wait_for(lambda: before() is None)
        finally:
            gc.enable()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads have priorities of their own on Linux only")
def test_the_threads_that_work_come_after_the_event_loop():
    with running() as url:
        assert httpx.post(f"{url}/v1/classify", content=jpeg()).status_code == 200
        worker = next(thread for thread in threading.enumerate() if thread.name == "lcnet-serve")
        server = next(thread for thread in threading.enumerate() if thread.name == "lcnet-server")
        nice = [os.getpriority(os.PRIO_PROCESS, thread.native_id) for thread in (server, worker)]
        assert nice[1] == min(nice[0] + 5, 19)
