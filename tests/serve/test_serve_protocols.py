"""Other people's clients: Triton's, Hugging Face's; and the description of the routes."""

import base64
import json

import numpy as np
import pytest
from serving import MODEL, httpx, jpeg, model, serve  # noqa: F401


@pytest.fixture(scope="module")
def url():
    with serve.running({"other": MODEL, "m": MODEL}, threads=2) as url:
        yield url


@pytest.fixture(scope="module")
def triton(url):
    http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    return http, http.InferenceServerClient(url.removeprefix("http://"))


@pytest.mark.parametrize("binary", [True, False])
def test_triton_sends_tensors(triton, model, binary):
    http, client = triton
    x = model.preprocess([jpeg(1), jpeg(2)])
    given = http.InferInput("pixels", list(x.shape), "FP32")
    given.set_data_from_numpy(x, binary_data=binary)
    wanted = [http.InferRequestedOutput(n, binary_data=binary) for n in ("embeddings", "probabilities")]
    found = client.infer("m", [given], outputs=wanted, request_id="seven")
    assert found.get_response()["id"] == "seven"
    for name, expected in (("embeddings", model.embeddings(x)), ("probabilities", model.probs(x))):
        assert np.array_equal(found.as_numpy(name), expected)


def test_triton_sends_pictures(triton, model):
    http, client = triton
    given = http.InferInput("images", [2], "BYTES")
    given.set_data_from_numpy(np.array([jpeg(1), jpeg(2)], object))
    found = client.infer("m", [given])  # no outputs named: all
    assert np.array_equal(found.as_numpy("probabilities"), model.probs([jpeg(1), jpeg(2)]))
    best = client.infer("m", [given], outputs=[http.InferRequestedOutput("probabilities", class_count=1)])
    top = model.classify([jpeg(1), jpeg(2)])
    expected = [f"{r.top[0].probability:f}:{r.top[0].index}:{r.top[0].label}" for r in top]
    assert [row[0].decode() for row in best.as_numpy("probabilities")] == expected


def test_triton_asks_what_there_is(triton, model):
    http, client = triton
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("m")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data", "classification"]
    said = client.get_model_metadata("m", "1")
    assert said["inputs"][1]["shape"] == [-1, *model.preprocessing.input_size]
    given = http.InferInput("images", [1], "BYTES")
    given.set_data_from_numpy(np.array([b"rubbish"], object))
    with pytest.raises(
        http.InferenceServerException if hasattr(http, "InferenceServerException") else Exception, match="format"
    ):
        client.infer("m", [given])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"inputs": []}, 422),
        ({"inputs": [{"name": "images", "datatype": "BYTES", "shape": [2], "data": [""]}]}, 422),
        ({"inputs": [{"name": "images", "datatype": "BYTES", "shape": [1], "data": [["", 1]]}]}, 422),
        ({"inputs": [{"name": "images", "datatype": "BYTES", "shape": [33], "data": [""] * 33}]}, 413),
        ({"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [1, 3, 1 << 30, 1 << 30], "data": [1]}]}, 422),
        ({"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [1, 3, 32, 32], "data": ["a"]}]}, 422),
        ({"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [1, 3, -1, 32], "data": []}]}, 422),
        ({"outputs": [{"name": "logits"}]}, 422),
        ({"outputs": []}, 422),
        ({"id": 5}, 422),
    ],
)
def test_requests_that_cannot_be_meant(url, change, status):
    good = {"inputs": [{"name": "images", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(jpeg(1)).decode()]}]}
    assert httpx.post(f"{url}/v2/models/m/infer", json=good).status_code == 200
    answer = httpx.post(f"{url}/v2/models/m/infer", json={**good, **change})
    assert answer.status_code == status and isinstance(answer.json()["error"], str), answer.text


def test_binary_lengths_that_lie(url):
    head = json.dumps(
        {"inputs": [{"name": "images", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 8}}]}
    )
    for tail, length in ((b"\xff\xff\xff\x7f1234", len(head)), (b"", len(head)), (b"12345678rest", len(head)), (b"", 5)):
        headers = {"inference-header-content-length": str(length)}
        answer = httpx.post(f"{url}/v2/models/m/infer", content=head.encode() + tail, headers=headers)
        assert answer.status_code == 400, answer.text


def test_huggingface_classifies(url, model, tmp_path):
    from huggingface_hub import InferenceClient

    (tmp_path / "a.jpg").write_bytes(jpeg(3))
    top = model.classify(jpeg(3), top_k=10)[0].top
    for address in (url, f"{url}/models/m"):
        client = InferenceClient(address)
        found = client.image_classification(tmp_path / "a.jpg")
        assert [(f.label, f.score) for f in found] == [(p.label, p.probability) for p in top[:5]]
        found = client.image_classification(jpeg(3), top_k=2, function_to_apply="softmax")
        assert [f.label for f in found] == [p.label for p in top[:2]]


def test_the_description_names_what_there_is(url):
    said = httpx.get(f"{url}/openapi.json").json()
    for path, methods in said["paths"].items():
        for method in methods:
            answer = httpx.request(method, url + path.replace("{name}", "m"))
            assert answer.status_code not in (404, 405, 500), (method, path)
