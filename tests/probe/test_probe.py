"""`lcnet.probe` from pictures to model files, which are held against scikit-learn, and used as any other model is."""

import json
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from probed import CLASSES, base, pattern, write
from weights import random_weights

import lcnet
import lcnet.probe
from lcnet.arch import Arch
from lcnet.cli import main
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.dataset import open_dataset
from lcnet.errors import ImageError, InputError
from lcnet.evaluate import Estimate, evaluate
from lcnet.modelfile import ModelFile, read, to_bytes
from lcnet.probe.advice import advice
from lcnet.probe.choice import candidates
from lcnet.probe.features import Engine, Extractor
from lcnet.probe.linear import PER_STRENGTH, Linear
from lcnet.probe.made import model_of
from lcnet.probe.measure import Point, estimate_json

pytest.importorskip("sklearn", reason="scikit-learn (extra: probe) is not installed")

pytestmark = pytest.mark.slow

# What takes long runs in the room of its own: `make test-probe`.
ROOM = pytest.mark.skipif(os.environ.get("LCNET_ROOM") != "probe", reason="takes long: make test-probe runs it")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures in train and test, a base, and a probe made of them."""
    folder = tmp_path_factory.mktemp("probe")
    write(folder / "data", 8, part="train")
    write(folder / "data", 5, part="test", first=100)
    base(folder / "base.safetensors")
    made = lcnet.probe.fit(
        folder / "data", folder / "base.safetensors", folder / "model.safetensors", views=0, threads=1, cache=folder / "cache"
    )
    return folder, made


def extractor(path):
    return Extractor(read(path), Engine(threads=1))


def test_features_are_the_means_of_feature_maps_and_the_embeddings(place):
    folder, _ = place
    pictures = open_dataset(folder / "data").train
    network = extractor(folder / "base.safetensors")
    table, model = network.table(pictures), lcnet.load(folder / "base.safetensors", threads=1)
    files = [pictures.read(i) for i in range(len(pictures))]
    maps = dict(zip((0, 1, 2, 4, 5), model.feature_maps(files), strict=True))
    for stage, found in maps.items():
        columns = network.columns.of((f"blocks.{stage}",))
        np.testing.assert_allclose(table.values[:, columns], found.mean((2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        table.values[:, network.columns.of(("embeddings",))], model.embeddings(files), rtol=1e-4, atol=1e-5
    )


def test_the_written_model_gives_the_logits_of_scikit_learn(place):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    folder, made = place
    pictures, test = open_dataset(folder / "data").train, open_dataset(folder / "data").test
    network = extractor(folder / "base.safetensors")
    columns = network.columns.of(tuple(made.report["classifier_input"]))
    x, new = network.table(pictures).values[:, columns], network.table(test).values[:, columns]
    scale = StandardScaler().fit(x.astype(np.float64))
    scale.scale_ = np.maximum(scale.scale_, 0.01 * x.std(0, dtype=np.float64).mean())
    c = PER_STRENGTH / (made.report["strength"] * len(x))
    regression = LogisticRegression(C=c, max_iter=1000).fit(scale.transform(x), pictures.targets)
    expected = regression.decision_function(scale.transform(new))
    found = lcnet.load(folder / "model.safetensors", threads=1).logits([test.read(i) for i in range(len(test))])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_the_model_says_what_it_is_and_where_from(place):
    folder, made = place
    model, report = read(folder / "model.safetensors"), made.report
    assert model.config.labels.names == CLASSES and model.config.arch.head_channels == 0
    assert list(model.config.arch.classifier_input) == report["classifier_input"]
    said = model.config.provenance
    assert said["base"]["model"] == "base.safetensors" and len(said["base"]["sha256"]) == 64
    assert said["data"] == "data" and said["train_images"] == 24 and said["probe"]["measured"] == report["measured"]
    assert model.config.decision.temperature == report["temperature"]
    assert set(report["measured"]) == {"top1", "balanced_accuracy", "macro_f1"}
    value, low, high = report["measured"]["top1"]
    assert 0.5 < low < value <= high
    assert (folder / "model.safetensors").stat().st_size < (folder / "base.safetensors").stat().st_size
    assert str(folder) not in json.dumps(said)


def test_its_numbers_are_those_of_the_engine_that_serves_it(place):
    folder, made = place
    assert estimate_json(Estimate(0.5)) == [0.5, None, None]  # what is not known is no NaN, which JSON has not
    found = evaluate(lcnet.load(folder / "model.safetensors", threads=1), open_dataset(folder / "data").test)
    assert made.report["test"]["top1"] == [round(v, 4) for v in found.summary["top1"]]
    assert found.summary["top1"].value > 0.6  # of three classes, by chance a third
    trained = evaluate(lcnet.load(folder / "model.safetensors", threads=1), open_dataset(folder / "data").train)
    assert trained.answers.seen.pictures == 24  # the sketch knows them again


def test_pictures_that_were_seen_are_not_decoded_again(place, monkeypatch):
    folder, made = place
    monkeypatch.setattr("lcnet.runtime.Classifier.preprocess", None)
    again = lcnet.probe.fit(
        folder / "data", folder / "base.safetensors", views=0, threads=1, cache=folder / "cache", intervals=False
    )
    assert again.model.weights["classifier.weight"].tobytes() == made.model.weights["classifier.weight"].tobytes()
    assert again.report["measured"] is None and again.report["curve"] == []


def test_a_copy_is_never_learned_from_while_it_is_measured(place, tmp_path):
    """Labels by chance, each picture twice: who cheats is right, who does not is not."""
    for i in range(20):
        for name in (f"{i}.png", f"{i} again.png"):
            target = tmp_path / "data" / "ab"[i % 2] / name
            target.parent.mkdir(parents=True, exist_ok=True)
            pattern("waves", i).save(target)
    made = lcnet.probe.fit(tmp_path / "data", place[0] / "base.safetensors", views=0, threads=1, cache=None)
    assert made.report["measured"]["top1"][0] < 0.85


def test_a_class_is_added_without_the_others_pictures(place, tmp_path):
    folder, _ = place
    write(tmp_path / "two", 12, CLASSES[:2])
    write(tmp_path / "third", 12, CLASSES[2:])
    lcnet.probe.fit(
        tmp_path / "two", folder / "base.safetensors", tmp_path / "m.safetensors", intervals=False, views=0, cache=None
    )
    before = read(tmp_path / "m.safetensors")
    shutil.rmtree(tmp_path / "two")
    made = lcnet.probe.add_class(
        tmp_path / "m.safetensors", "waves", tmp_path / "third", tmp_path / "n.safetensors", cache=None
    )
    after = read(tmp_path / "n.safetensors")
    assert after.config.labels.names == CLASSES
    assert (after.weights["classifier.weight"][:2] == before.weights["classifier.weight"]).all()
    assert made.report["others_after"] <= made.report["others_before"] and len(made.report["recall"]) == 3
    found = evaluate(lcnet.load(tmp_path / "n.safetensors", threads=1), open_dataset(folder / "data").test)
    assert found.summary["top1"].value > 0.6


@ROOM
def test_what_no_class_can_be_added_to_is_refused(place, tmp_path):
    folder, _ = place
    write(tmp_path / "third", 3, CLASSES[2:])
    model = tmp_path / "n.safetensors"
    lcnet.probe.fit(folder / "data" / "train", folder / "base.safetensors", model, intervals=False, views=0, cache=None)

    def add(model, name):
        lcnet.probe.add_class(
            tmp_path / model, name, tmp_path / "third", tmp_path / "o.safetensors", overwrite=True, cache=None
        )

    add("n.safetensors", "more")
    with pytest.raises(InputError, match="has the class 'dots' already"):
        add("n.safetensors", "dots")
    shutil.copyfile(model, tmp_path / "alone.safetensors")
    with pytest.raises(InputError, match=r"alone\.statistics\.npz is not there"):
        add("alone.safetensors", "x")
    data = (tmp_path / "n.statistics.npz").read_bytes()
    (tmp_path / "alone.statistics.npz").write_bytes(data)
    add("alone.safetensors", "x")  # the same file by another name
    for damaged in (b"PK\x03\x04 damaged", data[: len(data) // 2], b""):
        (tmp_path / "alone.statistics.npz").write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            add("alone.safetensors", "x")
    shutil.copyfile(tmp_path / "o.statistics.npz", tmp_path / "alone.statistics.npz")
    with pytest.raises(InputError, match="belongs to another file"):
        add("alone.safetensors", "x")


@ROOM
def test_near_copies_are_too_few_pictures_of_a_class(place, tmp_path):
    folder, _ = place
    model = tmp_path / "n.safetensors"
    lcnet.probe.fit(folder / "data" / "train", folder / "base.safetensors", model, intervals=False, views=0, cache=None)
    pixels = np.array(pattern(CLASSES[2], 1))
    (tmp_path / "new").mkdir()
    for i in range(2):
        pixels[0, 0] = i
        Image.fromarray(pixels).save(tmp_path / "new" / f"{i}.png")
    with pytest.raises(InputError, match="2 different pictures of a class are needed, copies and near-copies counted once"):
        lcnet.probe.add_class(model, "more", tmp_path / "new", cache=None)


@ROOM
def test_what_stands_beside_the_model_is_kept_where_it_is_no_statistics(place, tmp_path, monkeypatch):
    folder, _ = place

    def fit(**options):
        data, base = folder / "data" / "train", folder / "base.safetensors"
        lcnet.probe.fit(data, base, tmp_path / "n.safetensors", intervals=False, views=0, cache=None, **options)

    beside = tmp_path / "n.statistics.npz"
    np.savez(beside, mine=np.arange(3))
    before = beside.read_bytes()
    with pytest.raises(InputError, match=r"n\.statistics\.npz exists"):
        fit()
    assert beside.read_bytes() == before
    fit(overwrite=True)
    before = beside.read_bytes()
    (tmp_path / "n.safetensors").unlink()
    fit()  # those of a model that has gone are in nobody's way
    monkeypatch.setattr("lcnet.modelfile.write", lambda *_: (_ for _ in ()).throw(InputError("the disk is full")))
    with pytest.raises(InputError, match="full"):
        fit(overwrite=True)
    assert beside.exists()  # of the model that still stands there


def test_of_fine_tuning_nothing_is_claimed_that_was_not_measured():
    def told(a_class):
        last = Point(a_class, 3 * a_class, Estimate(0.8, 0.7, 0.9))
        return advice([last], False)[-1]

    assert "may well be less accurate" in told(100)
    assert "was measured up to 100 only" in told(200) and "guess" in told(200)


def several(folder, count=30):
    """A table of pictures with several labels each."""
    rows = ["path,label"]
    folder.mkdir()
    for i in range(count):
        kinds = [k for k in range(2) if (i >> k) & 1]
        layers = [np.asarray(pattern(CLASSES[k], i), float) for k in kinds] or [
            np.random.default_rng(i).normal(128, 40, (32, 32, 3))
        ]
        from PIL import Image

        Image.fromarray(np.clip(np.mean(layers, 0), 0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{'|'.join(['all'] * (i % 5 > 0) + [CLASSES[k] for k in kinds])}")
    (folder / "labels.csv").write_text("\n".join(row for row in rows if not row.endswith(",")))
    return folder / "labels.csv"


def test_several_labels_a_picture(place, tmp_path):
    data = several(tmp_path / "data")
    out = tmp_path / "m.safetensors"
    made = lcnet.probe.fit(data, place[0] / "base.safetensors", out, views=0, threads=1, cache=None)
    model = lcnet.load(out, threads=1)
    assert model.config.decision.multi_label and set(made.report["measured"]) >= {"mAP", "macro_f1"}
    assert made.report["measured"]["mAP"][0] > 0.5
    assert evaluate(model, open_dataset(data).train).summary["mAP"].value > 0.8
    assert not (tmp_path / "m.statistics.npz").exists()
    with pytest.raises(InputError, match="several labels"):
        lcnet.probe.add_class(out, "x", tmp_path / "data", cache=None)


def test_two_classes_and_crops(place, tmp_path):
    write(tmp_path / "data", 6, CLASSES[:2])
    made = lcnet.probe.fit(
        tmp_path / "data", place[0] / "base.safetensors", tmp_path / "m.safetensors", intervals=False, cache=None
    )
    assert made.report["crops"] == 3
    model = lcnet.load(tmp_path / "m.safetensors", threads=1)
    assert evaluate(model, open_dataset(tmp_path / "data").train).summary["top1"].value == 1
    logits = model.logits([pattern("dots", 1)])
    assert logits[0, 0] == pytest.approx(-logits[0, 1], abs=1e-3)


def test_what_cannot_be_learned_from_is_refused(place, tmp_path):
    folder, _ = place
    model = folder / "base.safetensors"
    write(tmp_path / "one", 3, CLASSES[:1])
    with pytest.raises(InputError, match="one class only"):
        lcnet.probe.fit(tmp_path / "one", model, cache=None)
    write(tmp_path / "few", 3, CLASSES[:1])
    write(tmp_path / "few", 1, CLASSES[1:2])
    shutil.copyfile(tmp_path / "few" / "lines" / "0.png", tmp_path / "few" / "lines" / "copy.png")
    with pytest.raises(InputError, match=r"2 different pictures of each class are needed.* 'lines' has 1, copies counted once"):
        lcnet.probe.fit(tmp_path / "few", model, cache=None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        lcnet.probe.fit(tmp_path / "empty", model, cache=None)
    write(tmp_path / "bad", 3, CLASSES[:2])
    (tmp_path / "bad" / "dots" / "damaged.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(ImageError, match=r"damaged\.png.*skip_unreadable"):
        lcnet.probe.fit(tmp_path / "bad", model, tmp_path / "out.safetensors", cache=None)
    assert not (tmp_path / "out.safetensors").exists()
    made = lcnet.probe.fit(tmp_path / "bad", model, cache=None, skip_unreadable=True, intervals=False, views=0)
    assert made.report["pictures"] == 6 and made.report["skipped"][0]["name"].endswith("damaged.png")
    with pytest.raises(InputError, match="exists: choose another name"):
        lcnet.probe.fit(tmp_path / "bad", model, folder / "model.safetensors", cache=None)


def test_the_command(place, tmp_path):
    folder, _ = place
    out, cache = str(tmp_path / "m.safetensors"), ["--cache", str(folder / "cache"), "--views", "0", "--threads", "1"]
    arguments = ["probe", str(folder / "data"), "-o", out, "-m", str(folder / "base.safetensors"), *cache]
    done = CliRunner().invoke(main, [*arguments, "--quick"])
    assert done.exit_code == 0, done.output
    assert "the classifier reads" in done.stdout and "taken: " in done.stdout and "m.safetensors: " in done.stdout
    assert CliRunner().invoke(main, [*arguments, "--quick"]).exit_code == 4  # exists
    done = CliRunner().invoke(main, [*arguments, "--overwrite", "--format", "json"])
    report = json.loads(done.stdout)
    assert (
        report["measured"]["top1"] and report["test"]["pictures"] == 15 and any("recommendation" in a for a in report["advice"])
    )
    more = [
        "probe",
        "--add-class",
        "more",
        str(folder / "data" / "train" / "dots"),
        "-m",
        out,
        "-o",
        str(tmp_path / "n.safetensors"),
    ]
    done = CliRunner().invoke(main, [*more, *cache])
    assert done.exit_code == 0 and "more: 8 pictures" in done.stdout and "an estimate" in done.stdout, done.output
    for wrong in (
        ["probe", "-o", out],
        [*more, "data"],
        [*more, "--quick"],
        [*arguments, "--no-cache"],
        [*more[:4], "-o", "x"],
    ):
        assert CliRunner().invoke(main, wrong).exit_code == 2, wrong


def test_it_is_exported_as_any_other(place, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    folder, _ = place
    done = CliRunner().invoke(main, ["export", str(folder / "model.safetensors"), str(tmp_path / "m.onnx")])
    assert done.exit_code == 0, done.output
    model = lcnet.load(folder / "model.safetensors", threads=1)
    x = model.preprocess([pattern("lines", 7)])
    (found,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(["logits"], {"input": x})
    np.testing.assert_allclose(found, model.run(x), atol=1e-3)


@ROOM
def test_the_server_takes_it(place):
    pytest.importorskip("starlette", reason="starlette (extra: serve) is not installed")
    from starlette.testclient import TestClient

    import lcnet.serve

    folder, _ = place
    with TestClient(lcnet.serve.app(str(folder / "model.safetensors"))) as client:
        data = (folder / "data" / "test" / "dots" / "100.png").read_bytes()
        assert client.post("/v1/classify", content=data).status_code == 200


@ROOM
def test_int8_keeps_its_accuracy(tmp_path):
    write(tmp_path / "data", 60, part="train")
    write(tmp_path / "data", 60, part="test", first=1000)
    base(tmp_path / "base.safetensors")
    lcnet.probe.fit(tmp_path / "data", tmp_path / "base.safetensors", tmp_path / "m.safetensors", intervals=False, cache=None)
    arguments = ["--data", str(tmp_path / "data" / "train"), "-o", str(tmp_path / "q.safetensors"), "--force"]
    done = CliRunner().invoke(main, ["quantize", str(tmp_path / "m.safetensors"), *arguments])
    assert done.exit_code == 0, done.output
    test = open_dataset(tmp_path / "data").test
    exact, int8 = (evaluate(lcnet.load(tmp_path / f"{n}.safetensors"), test).summary["top1"].value for n in "mq")
    assert abs(exact - int8) < 0.03


PAGES = {"stem_stride": (1, 2), "head_channels": 0, "classifier_input": ("blocks.2", "blocks.4")}
BASES = {
    "lcnet": Arch(0.25),
    "another head": Arch(0.35, head_channels=512, activation="relu", num_classes=0),
    "no head": Arch(0.25, num_classes=4, **PAGES),
    "lcnetv2": Arch.of("lcnetv2_small", depths=(1, 2, 1, 1), num_classes=5),
}


@pytest.mark.parametrize("arch", BASES.values(), ids=BASES)
def test_every_kind_of_network_is_a_base(arch, tmp_path):
    """Weights and classifiers by chance: the model cut down says what the classifier says of the base's features."""
    small = ModelConfig(arch, Preprocessing(input_size=(3, 32, 48)))
    model, rng = ModelFile(small, random_weights(arch)), np.random.default_rng(0)
    network = Extractor(model, Engine(threads=1))
    folder = write(tmp_path, 2)
    pictures = open_dataset(folder).train
    values = network.table(pictures).values
    every = candidates(network.columns)
    assert len(every) == {"no head": 15}.get(next(k for k, v in BASES.items() if v is arch), len(every))
    for read_ in (every[0], every[-2], max(every, key=len), every[-1]):
        x = values[:, network.columns.of(read_)]
        linear = Linear(rng.normal(size=(3, x.shape[1])), rng.normal(size=3))
        cut = model_of(model, linear, read_, Labels(CLASSES), Decision(), {})
        to_bytes(cut)
        found = lcnet.Classifier(cut, threads=1).logits([pictures.read(i) for i in range(len(pictures))])
        np.testing.assert_allclose(found, linear(x), rtol=1e-3, atol=1e-3 * np.ptp(linear(x)))
        assert cut.config.arch.classifier_input == read_ and len(cut.config.arch.stages) <= len(arch.stages)


@ROOM
@ROOM
def test_a_quantised_base_is_refused(tmp_path):
    from quantized_models import quantized_model

    from lcnet.modelfile import write as write_model

    write_model(tmp_path / "q.safetensors", quantized_model(48))
    write(tmp_path / "data", 2)
    with pytest.raises(InputError, match="is quantised: name the float model"):
        lcnet.probe.fit(tmp_path / "data", tmp_path / "q.safetensors", cache=None)
