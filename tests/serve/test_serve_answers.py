"""What the server answers: exactly what the library and the command line do, in one form, and its errors in one shape."""

import base64
import io
import json

import numpy as np
import pytest
from pictures import encoded
from serving import MODEL, httpx, jpeg, model, serve  # noqa: F401

from lcnet.cli import main


@pytest.fixture(scope="module")
def client():
    with serve.running(MODEL, threads=2, max_body=1_000_000, max_pixels=100_000, max_images=4) as url:
        yield httpx.Client(base_url=url)


def error_of(answer, status, code):
    said = answer.json()["error"]
    assert (answer.status_code, said["code"]) == (status, code), answer.text
    assert said["request_id"] == answer.headers["x-request-id"] and said["message"].isprintable()
    return said["message"]


def test_one_picture_is_answered_as_the_library_does(client, model):
    answer = client.post("/v1/classify", params={"top_k": 3}, content=jpeg(1)).json()
    assert answer["model"] == MODEL and set(answer["timing"]) == {"queue_ms", "decode_ms", "network_ms"}
    assert answer["results"] == [model.classify(jpeg(1), top_k=3)[0].to_dict()]


def test_the_command_line_says_the_same(client, tmp_path):
    from click.testing import CliRunner

    (tmp_path / "a.jpg").write_bytes(jpeg(2))
    done = CliRunner().invoke(main, ["classify", str(tmp_path / "a.jpg"), "-m", MODEL, "-f", "json"])
    said = json.loads(done.output)[0]
    served = client.post("/v1/classify", content=jpeg(2)).json()["results"][0]
    assert served == {key: said[key] for key in served}


def test_a_threshold_is_taken(client):
    assert client.post("/v1/classify", params={"threshold": 1}, content=jpeg(1)).json()["results"][0]["known"] is False


def test_several_files_come_back_in_order_with_their_names(client, model):
    files = [("file", (f"{seed}.jpg", jpeg(seed))) for seed in (3, 4, 5)]
    results = client.post("/v1/classify", files=files).json()["results"]
    assert results == [{"name": f"{s}.jpg", **model.classify(jpeg(s))[0].to_dict()} for s in (3, 4, 5)]


def test_base64_in_json(client, model):
    images = [{"base64": base64.b64encode(jpeg(s)).decode(), "name": str(s)} for s in (6, 7)]
    images[1]["base64"] = "data:image/jpeg;base64," + images[1]["base64"]
    results = client.post("/v1/classify", json={"images": images}).json()["results"]
    assert results == [{"name": str(s), **model.classify(jpeg(s))[0].to_dict()} for s in (6, 7)]


def test_a_bad_picture_among_good_ones_stands_in_its_place(client, model):
    files = [("file", ("a", jpeg(1))), ("file", ("b", jpeg(1)[:200])), ("file", ("c", b"GIF87")), ("file", ("d", jpeg(2)))]
    results = client.post("/v1/classify", files=files).json()["results"]
    assert [r.get("error", {}).get("code") for r in results] == [None, "damaged", "not_a_picture", None]
    assert results[3]["top"] == model.classify(jpeg(2))[0].to_dict()["top"]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b"no picture at all", 415, "not_a_picture"),
        (jpeg(1)[:200], 400, "damaged"),
        (encoded(np.zeros((400, 400, 3), np.uint8), "PNG"), 413, "too_large"),
        (bytes(1_000_001), 413, "too_large"),
    ],
    ids=["empty", "text", "cut", "pixels", "bytes"],
)
def test_a_picture_that_cannot_be_read_has_a_status(client, content, status, code):
    error_of(client.post("/v1/classify", content=content), status, code)


@pytest.mark.parametrize(
    "query", ["top_k=0", "top_k=x", "top_k=1&top_k=2", "topk=1", "threshold=2", "threshold=nan", "top_k=" + "9" * 5000]
)
def test_arguments_are_checked(client, query):
    error_of(client.post(f"/v1/classify?{query}", content=jpeg(1)), 422, "argument")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 100_000, 413),
        (b"[" * 15_000, 400),
        (b'{"images": []}', 422),
        (b'{"images": [{"url": "http://example.org/a.jpg"}]}', 422),
        (b'{"images": [{"base64": "####"}]}', 400),
        (b'{"images": [1]}', 422),
        (b'{"images": NaN}', 400),
        (b"\xff\xfe", 400),
        (json.dumps({"images": [{"base64": ""}] * 5}).encode(), 413),
    ],
)
def test_json_that_cannot_be_meant(client, body, status):
    answer = client.post("/v1/classify", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status and answer.json()["error"]["message"], answer.text


def form(parts, boundary="b"):
    return b"".join(b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), head, data) for head, data in parts)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (form([(b'Content-Disposition: form-data; name="file"', jpeg(1))]), 400),  # has no end
        (form([(b'Content-Disposition: form-data; name="image"; filename="a"', jpeg(1))]) + b"--b--\r\n", 422),
        (form([(b'Content-Disposition: form-data; name="file"', b"")] * 20_000) + b"--b--\r\n", 413),
        (form([(b"X" * 100_000 + b": 1", b"")]) + b"--b--\r\n", 400),
    ],
)
def test_forms_that_cannot_be_meant(client, body, status):
    answer = client.post("/v1/classify", content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b", "\u202egnp.exe", "", "x" * 5000, "caf\u00e9 \U0001f408"])
def test_a_name_is_text_and_nothing_else(client, name):
    image = {"base64": base64.b64encode(jpeg(1)).decode(), "name": name}
    answer = client.post("/v1/classify", json={"images": [image]})
    assert answer.status_code == 200 and answer.text.isprintable()
    assert answer.json()["results"][0]["name"][:20] == name.replace("\0", "\\x00")[:20]


def test_embeddings_in_all_forms(client, model):
    rows = model.embeddings([jpeg(1), jpeg(2)])
    files = [("file", ("a", jpeg(1))), ("file", ("b", jpeg(2)))]

    def post(**options):
        return client.post("/v1/embed", files=files, **options)

    assert [r["embedding"] for r in post().json()["results"]] == rows.tolist()
    packed = [base64.b64decode(r["embedding"]) for r in post(params={"encoding": "base64"}).json()["results"]]
    assert packed == [row.tobytes() for row in rows]
    assert post(headers={"accept": "application/octet-stream"}).content == rows.tobytes()
    assert np.array_equal(np.load(io.BytesIO(post(headers={"accept": "application/x-npy"}).content)), rows)


def test_feature_maps_are_arrays_of_a_file(client, model):
    answer = client.post("/v1/features", params={"out_indices": "1,4"}, content=jpeg(1))
    found, expected = np.load(io.BytesIO(answer.content)), model.feature_maps(jpeg(1), [1, 4])
    assert list(found) == ["stride_4", "stride_32"]
    assert all(np.array_equal(found[k], e) for k, e in zip(found, expected, strict=True))
    error_of(client.post("/v1/features", params={"out_indices": "5"}, content=jpeg(1)), 422, "argument")


def test_binary_answers_have_no_place_for_an_error(client):
    files = [("file", ("a", jpeg(1))), ("file", ("b", b"rubbish"))]
    answer = client.post("/v1/embed", files=files, headers={"accept": "application/octet-stream"})
    assert error_of(answer, 415, "not_a_picture").startswith("picture 1: ")


def test_models_are_described(client, model):
    (said,) = client.get("/v1/models").json()["models"]
    assert said == client.get(f"/v1/models/{MODEL}").json()
    assert said["labels"] == list(model.labels.names) and said["default"] and len(said["sha256"]) == 64
    error_of(client.get("/v1/models/other"), 404, "not_found")
    error_of(client.post("/v1/classify?model=other", content=jpeg(1)), 404, "not_found")


def test_health_metrics_and_wrong_addresses(client):
    assert client.get("/health/live").json() == {"live": True} and client.get("/health/ready").json() == {"ready": True}
    client.post("/v1/classify", content=jpeg(1))
    text = client.get("/metrics").text
    assert 'lcnet_requests_total{route="/v1/classify",status="200"}' in text
    assert "lcnet_best_probability_bucket" in text and 'lcnet_answers_total{label="' in text
    error_of(client.get("/v1/nothing"), 404, "not_found")
    answer = client.get("/v1/classify")
    error_of(answer, 405, "method")
    assert answer.headers["allow"] == "POST"
