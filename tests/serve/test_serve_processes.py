"""`lcnet serve` as a program: its start and end, reloads, several processes, and no answer that is another's."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from pictures import encoded, picture

import lcnet
from lcnet import hub
from lcnet.arch import Arch
from lcnet.config import Labels, ModelConfig, Preprocessing
from lcnet.modelfile import ModelFile, write

httpx = pytest.importorskip("httpx", reason="httpx (extra: test) is not installed")
pytest.importorskip("uvicorn", reason="uvicorn (extra: serve) is not installed")

pytestmark = pytest.mark.slow
MODEL = "lcnet_050.cifar10"


def jpeg(seed, **size):
    return encoded(picture(seed=seed, **size), "JPEG")


@contextmanager
def served(*arguments, **environment):
    """A server's process, and its address."""
    command = [sys.executable, "-m", "lcnet", "serve", *map(str, arguments)]
    settings = {**os.environ, "LCNET_PORT": "0", "LCNET_LOG_FORMAT": "none", **environment}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=settings)
    try:
        line = process.stderr.readline()
        found = re.search(r"on (http://\S+)", line)
        assert found, line + process.stderr.read()
        yield process, found[1]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def fresh(url, path, method="get", **options):
    """A request on a connection of its own, which may be any process's."""
    return getattr(httpx, method)(url + path, timeout=30, **options)


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"it did not happen within {seconds} seconds"
        time.sleep(0.02)


def hashes(url, count=12):
    return {fresh(url, "/v1/models").json()["models"][0]["sha256"] for _ in range(count)}


def other_model(path):
    """A model with weights of its own, put in place by renaming."""
    from weights import random_weights

    config = ModelConfig(Arch(0.25, num_classes=3), Preprocessing((3, 32, 32)), Labels(("a", "b", "c")))
    write(path, ModelFile(config, random_weights(config.arch)))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.safetensors"
    shutil.copy(hub.locate(MODEL).path, path)
    return path


def test_what_cannot_be_served_is_told_in_a_line(tmp_path):
    for arguments, code, words in (
        (["nothing.safetensors"], 4, "nothing.safetensors"),
        ([MODEL, "--processes", "2", "--isa", "x87"], 4, "x87"),
        ([MODEL, "--host", "0.0.0.0"], 2, "--token-file"),
        ([MODEL, "--token-file", tmp_path / "none"], 4, "none"),
        ([MODEL, "--port", "99999"], 2, "99999"),
    ):
        command = [sys.executable, "-m", "lcnet", "serve", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LCNET_PORT": "0"}, timeout=60)
        assert done.returncode == code and words in done.stderr.splitlines()[-1], done.stderr
        assert "Traceback" not in done.stderr


# As in tests/cli/test_sockets.py, but for what listening does.
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"):
        if getattr(getattr(arguments[0], "family", None), "name", "") != "AF_UNIX":
            with open(os.environ["WATCHED"], "a") as file:
                file.write(f"{event} {arguments[1:]}\\n")
sys.addaudithook(watch)
"""


def test_it_asks_nobody(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with served(MODEL, "--processes", "2", PYTHONPATH=paths, WATCHED=str(tmp_path / "seen")) as (_, url):
        assert fresh(url, "/v1/classify", "post", content=jpeg(1)).status_code == 200
        assert fresh(url, "/docs").status_code in (200, 404) and fresh(url, "/metrics").status_code == 200
    assert not (tmp_path / "seen").exists(), (tmp_path / "seen").read_text()


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_loses_nothing(processes):
    with served(MODEL, "--processes", processes, "--drain-delay", "0.5", "--queue", "64") as (process, url):
        statuses, errors = [], []

        def client(seed):
            with httpx.Client(base_url=url, timeout=30) as own:
                while True:
                    try:
                        answer = own.post("/v1/classify", content=jpeg(seed))
                    except Exception as error:
                        errors.append(error)
                        return
                    statuses.append(answer.status_code)
                    if answer.headers.get("connection") == "close":
                        return

        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(statuses) > 50)
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: fresh(url, "/health/ready").status_code == 503, seconds=0.5)
        for thread in threads:
            thread.join()
        assert not errors and set(statuses) == {200}
        assert process.wait(timeout=20) == 0


def test_a_reload_is_whole_or_not_at_all(file):
    with served(file, "--processes", "2") as (process, url):
        before = hashes(url)
        assert len(before) == 1 and fresh(url, "/health/ready").status_code == 200
        good = file.read_bytes()
        file.write_bytes(good[: len(good) // 2])
        answer = fresh(url, "/v1/models/net/reload", "post")
        assert answer.status_code == 422 and "old model goes on" in answer.json()["error"]["message"]
        assert hashes(url) == before and fresh(url, "/v1/classify", "post", content=jpeg(1)).status_code == 200
        other_model(file)
        answer = fresh(url, "/v1/models/net/reload", "post")
        assert answer.status_code == 200 and answer.json()["labels"] == ["a", "b", "c"]
        after = hashes(url)
        assert len(after) == 1 and after != before
        file.write_bytes(good)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: hashes(url, 6) == before)


def test_numbers_are_of_all_and_a_dead_process_is_replaced(file):
    with served(file, "--processes", "2") as (process, url):
        for seed in range(20):
            assert fresh(url, "/v1/classify", "post", content=jpeg(seed)).status_code == 200
        counted = 'lcnet_requests_total{route="/v1/classify",status="200"} 20.0'
        assert all(counted in fresh(url, "/metrics").text for _ in range(6))
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
        os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
        for seed in range(20):  # the other goes on
            assert fresh(url, "/v1/classify", "post", content=jpeg(seed)).status_code == 200
        wait_for(lambda: fresh(url, "/health/ready").status_code == 200)
        now = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
        assert len(now.stdout.split()) == 2 and now.stdout != found.stdout


def test_children_end_with_their_parent(file):
    with served(file, "--processes", "2") as (process, _):
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
        process.kill()
        process.wait()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}/fd/0") for pid in found.stdout.split()))


def test_no_answer_is_anothers(file):
    """Many clients, each with pictures of its own, while models are read again and other clients vanish."""
    model = lcnet.load(file, threads=1)
    pictures = [jpeg(seed, height=48 + 12 * (seed % 5), width=60) for seed in range(200)]
    expected = [model.classify(data, top_k=3)[0].to_dict() for data in pictures]
    assert len({str(e) for e in expected}) > 190
    wrong, answered, over = [], [], threading.Event()

    def client(first):
        with httpx.Client(base_url=url, timeout=60) as own:
            for step in range(40):
                place = (first * 7 + step * 13) % len(pictures)
                answer = own.post("/v1/classify?top_k=3", content=pictures[place], headers={"x-request-id": f"p{place}"})
                if answer.status_code == 503:
                    continue
                answered.append(place)
                good = answer.status_code == 200 and answer.json()["results"] == [expected[place]]
                if not good or answer.headers["x-request-id"] != f"p{place}":
                    wrong.append((place, answer.text))

    def vanishing():
        while not over.is_set():
            try:
                httpx.post(f"{url}/v1/classify", content=pictures[0], timeout=0.003)
            except httpx.HTTPError:
                time.sleep(0.002)

    def reloading():
        while not over.is_set():
            assert fresh(url, "/v1/models/net/reload", "post").status_code == 200

    with served(file, "--queue", "256") as (_, url):
        beside = [threading.Thread(target=vanishing), threading.Thread(target=reloading)]
        clients = [threading.Thread(target=client, args=(i,)) for i in range(64)]
        for thread in (*beside, *clients):
            thread.start()
        for thread in clients:
            thread.join()
        over.set()
        for thread in beside:
            thread.join()
    assert not wrong, wrong[:3]
    assert len(answered) > 2000
