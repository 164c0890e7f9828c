"""docs/python.md is true: its examples run, in the order of the page, and its web service answers as it says."""

import asyncio
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import lcnet
from lcnet.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES, SERVICE = PAGE.split("## A web service")


def blocks(text):
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The pictures that the page names."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("cat.jpg", "dog.png", "photos/a.png", "photos/more/b.png"):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(name)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no picture")
    return tmp_path


def test_the_examples_run(folder, capsys):
    values = {}
    for code in blocks(EXAMPLES):
        exec(code, values)
    out = capsys.readouterr().out
    assert "photos/broken.jpg: it is not a picture of a known format" in out and "photos/more/b.png " in out
    assert "image bytes: it is not a picture" in out and "it starts with b'no picture'" in out
    assert len(values["found"]) == 8


def test_what_comments_say_is_so():
    (code,) = (b for b in blocks(EXAMPLES) if "list_models" in b)
    for call, said in re.findall(r"^(lcnet\.\S+\(.*?\))  # \w+: (\[.*\])$", code, re.MULTILINE):
        found = eval(call, {"lcnet": lcnet})
        assert repr(found).startswith(said.removesuffix(", ...]").removesuffix("]")), call


def test_a_result_is_the_json_of_the_command_line(folder):
    done = CliRunner().invoke(main, ["classify", "cat.jpg", "-m", "lcnet_050.cifar10", "-f", "json", "--threads", "1"])
    (row,) = json.loads(done.stdout)
    result = lcnet.load("lcnet_050.cifar10", threads=1).classify("cat.jpg")[0].to_dict()
    assert set(result) == {"known", "labels", "top"} and set(result["top"][0]) == {"index", "label", "id", "probability"}
    probabilities = [[p.pop("probability") for p in each["top"]] for each in (row, result)]
    assert probabilities[0] == pytest.approx(probabilities[1], abs=1e-5)
    assert {key: row[key] for key in result} == result and row["file"] == "cat.jpg"


@pytest.fixture
def service():
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    pytest.importorskip("httpx", reason="httpx is not installed")
    values = {"__name__": "service"}
    exec(blocks(SERVICE)[0], values)
    return values


@pytest.fixture
def client(service):
    from fastapi.testclient import TestClient

    return TestClient(service["app"])


def test_the_service_answers(client, service, folder):
    data = (folder / "cat.jpg").read_bytes()
    done = client.post("/classify", content=data)
    assert done.status_code == 200 and done.json() == service["model"].classify(data)[0].to_dict()


def test_the_service_refuses_what_is_no_picture_or_too_large(client, service, folder):
    for body, words in (
        (b"no picture", "image bytes: it is not a picture of a known format"),
        (b"", "image bytes: it is empty"),
    ):
        done = client.post("/classify", content=body)
        assert done.status_code == 422 and words in done.json()["detail"] and "--" not in done.json()["detail"]
    assert client.post("/classify", content=bytes(service["LIMIT"] + 1)).status_code == 413
    wide = folder / "wide.png"
    Image.new("1", (5001, 5000)).save(wide)
    done = client.post("/classify", content=wide.read_bytes())
    assert done.status_code == 422 and "more than max_pixels = 25000000" in done.json()["detail"]


def test_an_endless_upload_is_not_read_to_its_end(service):
    sent, answers = [], []

    async def receive():
        sent.append(1 << 20)
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": True}

    async def send(message):
        answers.append(message)

    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/classify", "raw_path": b"/classify"}
    scope |= {"query_string": b"", "headers": [], "scheme": "http", "server": ("test", 80), "root_path": ""}
    asyncio.run(service["app"](scope, receive, send))
    assert answers[0]["status"] == 413 and sum(sent) <= service["LIMIT"] + (2 << 20)


def test_requests_are_served_beside_a_slow_one(service, folder, monkeypatch):
    """`def` endpoints run in threads: one that waits keeps no other from being answered."""
    import httpx

    data, free = (folder / "cat.jpg").read_bytes(), threading.Event()
    classify = type(service["model"]).classify

    def slow(self, images, top_k=5):
        if images == b"slow":
            assert free.wait(30)
            images = data
        return classify(self, images, top_k)

    monkeypatch.setattr(type(service["model"]), "classify", slow)

    async def both():
        transport = httpx.ASGITransport(app=service["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            first = asyncio.create_task(http.post("/classify", content=b"slow"))
            await asyncio.sleep(0.05)
            second = await http.post("/classify", content=data)
            assert not first.done()
            free.set()
            return second.json(), (await first).json()

    second, first = asyncio.run(both())
    assert first == second and first["top"]
