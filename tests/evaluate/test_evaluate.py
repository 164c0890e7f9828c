"""Evaluation end to end: which class is which, what is measured, what stops it, and the command."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from weights import random_weights

import lcnet
from lcnet import modelfile, zoo
from lcnet.arch import Arch
from lcnet.cli.evaluate import evaluate as command
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.dataset import open_dataset
from lcnet.errors import ImageError, InputError
from lcnet.evaluate import Joined, answer, evaluate, measure, metrics
from lcnet.evaluate.align import align, read_real
from lcnet.labels import load_labels
from lcnet.modelfile import ModelFile

pytestmark = pytest.mark.slow

NAMES = ("cat", "dog", "bird", "frog", "Polar Bear, ice bear", "newt")


def stored(decision=Decision(), names=NAMES):  # noqa: B008
    config = ModelConfig(Arch(0.25, num_classes=6), Preprocessing((3, 32, 32)), Labels(names) if names else None, decision)
    return ModelFile(config, random_weights(config.arch))


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    """Intervals take most of the time, and are tested with the metrics."""
    monkeypatch.setattr(metrics, "REPEATS", 50)


@pytest.fixture(scope="module")
def model():
    return lcnet.Classifier(stored(), threads=2)


SIDES = (20, 40, 70, 300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four of the model's six classes, seven pictures each, of several sizes."""
    top = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    for name in ("cat", "dog", "frog", "polar_bear"):
        (top / name).mkdir()
        for i in range(7):
            side = SIDES[i % 4]
            coarse = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((side + 10, side)).save(top / name / f"{i}.png")
    return top


@pytest.fixture
def data(folder):
    return open_dataset(folder).train


CLASSES = np.array([0, 1, 3, 4])  # of the folders, in the model


# Which class is which


def test_imagenet_folders_are_wordnet_ids():
    labels = load_labels("imagenet1k")
    assert align(["n01443537", "n01440764", "n15075141"], labels, 1000).tolist() == [1, 0, 999]
    assert align(["tench", "Goldfish", "great_white_shark"], labels, 1000).tolist() == [0, 1, 2]
    assert align(["Tinca-tinca", "carassius auratus"], labels, 1000).tolist() == [0, 1]
    assert align(["10", "2", "999"], labels, 1000).tolist() == [10, 2, 999], "ImageNet-V2's folders"


def test_a_stricter_rule_wins():
    labels = Labels(("Cat", "cat", "big, cat", "n1"), ("n1", "n2", "n3", "n4"))
    assert align(["cat", "n1", "big"], labels, 4).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        (["cat", "cow", "hen"], "2 of 3 classes of the data are no classes of the model: 'cow', 'hen'.*knows 'cat', 'dog'"),
        (["cat", "brid"], "1 of 2 .*'brid'; did you mean 'bird'"),
        (["Cat", "CAT"], "'Cat' and 'CAT' are both the model's 'cat'"),
        (["0", "6"], "2 of 2 classes of the data"),
        ([str(i) for i in range(50, 57)], r"'54' and 2 more"),
    ],
)
def test_classes_that_the_model_does_not_have(classes, match):
    with pytest.raises(InputError, match=match):
        align(classes, Labels(NAMES), 6)


def test_names_of_several_classes_are_refused():
    with pytest.raises(InputError, match="several classes that the data's 'crane' could be: use their ids"):
        align(["tench", "crane"], load_labels("imagenet1k"), 1000)


def test_a_model_without_labels_takes_indices():
    assert align(["3", "0"], None, 4).tolist() == [3, 0]
    with pytest.raises(InputError, match="no labels, so classes must be indices, 0 to 3: 'cat', '0' are none"):
        align(["cat", "0"], None, 4)


# What is measured


def test_the_answers_are_those_of_the_model(model, data):
    found = answer(model, data, workers=2)
    expected = model.logits(list(data.names))
    assert np.array_equal(found.logits, expected)
    assert np.array_equal(found.targets, CLASSES[data.targets])
    right = expected.argmax(axis=1) == found.targets
    result = evaluate(model, data)
    assert result.summary["top1"].value == right.mean() and result.pictures == 28 and result.wrong == (~right).sum()
    order = np.argsort(-expected, axis=1, kind="stable")
    assert result.summary["top5"].value == (order[:, :5] == found.targets[:, None]).any(axis=1).mean()
    assert result.summary["balanced_accuracy"].value == pytest.approx(right.mean())
    probs = model.probs(list(data.names)).astype(np.float64)
    one_hot = np.eye(6)[found.targets]
    assert result.summary["loss"].value == pytest.approx(-np.log(probs[one_hot > 0]).mean(), rel=1e-5)
    assert result.summary["brier"].value == pytest.approx(((probs - one_hot) ** 2).sum(axis=1).mean(), rel=1e-5)
    for mistake in result.mistakes:
        assert mistake.name == data.names[mistake.sample]
        assert mistake.truth == NAMES[found.targets[mistake.sample]] != mistake.predicted
        assert mistake.probability == pytest.approx(probs[mistake.sample].max(), rel=1e-5)
    assert [m.probability for m in result.mistakes] == sorted((m.probability for m in result.mistakes), reverse=True)


def test_slices_by_the_shorter_side(model, data):
    found = {s.low: s for s in evaluate(model, data).slices}
    assert {low: (s.high, s.pictures) for low, s in found.items()} == {0: (63, 16), 64: (127, 8), 256: (511, 4)}
    right = answer(model, data)
    hit = right.logits.argmax(axis=1) == right.targets
    assert found[64].right.value == hit[right.sides == 70].mean()


def test_restricted_answers(model, data):
    free, held = evaluate(model, data), evaluate(model, data, restrict=True)
    logits = free.answers.logits[:, CLASSES]
    assert np.array_equal(held.answers.logits, logits) and held.answers.names == tuple(NAMES[k] for k in CLASSES)
    assert held.summary["top1"].value == (logits.argmax(axis=1) == data.targets).mean()
    assert "top3" in held.summary and "top5" not in held.summary
    assert free.notes() == [
        "the data has 4 of the model's 6 classes; answers may be any of them (restrict: only those of the data)"
    ]
    assert held.notes() == ["answers are restricted to the data's 4 of 6 classes"]


def test_thresholds_are_measured(data):
    probs = lcnet.Classifier(stored(), threads=1).probs(list(data.names))
    limits = {NAMES[k]: float(np.median(probs[:, k])) for k in range(6)}
    result = evaluate(lcnet.Classifier(stored(Decision(thresholds=limits)), threads=1), data)
    results = lcnet.Classifier(stored(Decision(thresholds=limits)), threads=1).classify(list(data.names), 1)
    known = np.array([r.known for r in results])
    assert result.summary["answered"].value == known.mean()
    held = evaluate(lcnet.Classifier(stored(Decision(thresholds=limits)), threads=1), data, restrict=True)
    assert "answered" not in held.summary and held.decided is None


def test_json_is_json(model, data):
    found = json.loads(json.dumps(evaluate(model, data).to_json(), allow_nan=False))
    assert found["pictures"] == 28 and found["task"] == "single-label"
    assert sum(c["pictures"] for c in found["confusions"]) == 28
    assert sum(b["pictures"] for b in found["calibration"]) == 28
    low, high = found["top1"]["interval"]
    assert low <= found["top1"]["value"] <= high
    assert {row["label"] for row in found["classes"] if row["support"]} == {NAMES[k] for k in CLASSES}
    assert found["calibration_error"]["interval"] is None


# ReaL


def real_file(tmp_path, lists):
    (tmp_path / "real.json").write_text(json.dumps(lists))
    return tmp_path / "real.json"


def test_real_labels(model, tmp_path):
    rng = np.random.default_rng(1)
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in (1, 2, 3):
            image = Image.fromarray(rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)).resize((40, 40))
            image.save(tmp_path / "data" / name / f"ILSVRC2012_val_{2 * i - k:08}.png")
    data = open_dataset(tmp_path / "data").train
    logits = {n[-12:-4]: row for n, row in zip(data.names, model.logits(list(data.names)), strict=True)}
    best = [int(logits[f"{n:08}"].argmax()) for n in range(1, 7)]
    worst = [int(logits[f"{n:08}"].argmin()) for n in range(1, 7)]
    lists = [[best[0]], [worst[1], best[1]], [], [worst[3]], [0, 1, 2, 3, 4, 5], [worst[5]]]
    result = evaluate(model, data, real=real_file(tmp_path, lists))
    assert result.pictures == 5 and result.to_json()["task"] == "real"
    assert result.summary["top1"].value == 3 / 5 and result.summary["top5"].value == 3 / 5
    assert result.notes() == ["1 pictures without a ReaL label are left out"]
    assert {m.name[-12:-4] for m in result.mistakes} == {"00000004", "00000006"}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("[[1], [", "cannot be read as JSON"),
        ('{"a": 1}', "expected a list of lists"),
        ("[[1], 2]", "entry of picture 2 is 2, expected class indices from 0 to 5"),
        ("[[1], [6]]", r"entry of picture 2 is \[6\]"),
        ("[[1], [true]]", "entry of picture 2"),
        ("[[1]]", "ILSVRC2012_val_00000002.JPEG: ReaL labels are for .* to ILSVRC2012_val_00000001"),
        ("[[], []]", "none of the pictures has a ReaL label"),
    ],
)
def test_wrong_real_files(tmp_path, content, match):
    (tmp_path / "real.json").write_text(content)
    with pytest.raises(InputError, match=match):
        read_real(tmp_path / "real.json", ["a/ILSVRC2012_val_00000001.JPEG", "a/ILSVRC2012_val_00000002.JPEG"], 6)


def test_real_and_restrict_exclude_each_other(model, data, tmp_path):
    with pytest.raises(InputError, match="ReaL labels are of all classes"):
        evaluate(model, data, real=real_file(tmp_path, [[1]]), restrict=True)


def test_real_needs_the_names_of_the_validation_set(model, data, tmp_path):
    with pytest.raises(InputError, match=r"0\.png: ReaL labels are for pictures named ILSVRC2012_val_00000001"):
        evaluate(model, data, real=real_file(tmp_path, [[1]]))


# What cannot be read


@pytest.fixture
def damaged(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "bad")
    (tmp_path / "bad" / "dog" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "bad" / "cat" / "6.png").write_bytes(b"")
    return tmp_path / "bad"


def test_a_picture_that_cannot_be_read_stops_it_or_is_named(model, damaged, data):
    broken = open_dataset(damaged).train
    with pytest.raises(ImageError, match=r"cat/6\.png: it is empty"):
        evaluate(model, broken, workers=0)
    with pytest.raises(ImageError, match=r"(cat/6|dog/3)\.png"):
        evaluate(model, broken)
    found = evaluate(model, broken, skip_unreadable=True)
    assert [s.name.rpartition("/")[2] for s in found.answers.skipped] == ["6.png", "3.png"]
    assert found.pictures == 26 and found.notes()[-1] == "2 pictures could not be read and are left out"
    whole = answer(model, data)
    kept = np.delete(np.arange(28), [6, 10])
    assert np.array_equal(found.answers.indices, kept) and np.array_equal(found.answers.logits, whole.logits[kept])
    assert np.array_equal(found.answers.targets, whole.targets[kept])
    assert np.array_equal(found.answers.sides, whole.sides[kept])


def test_nothing_to_measure(model, data, damaged):
    with pytest.raises(InputError, match="has no pictures"):
        evaluate(model, data.subset([]))
    with pytest.raises(InputError, match=r"none of the 1 pictures can be read: .*empty"):
        evaluate(model, open_dataset(damaged).train.subset([6]), skip_unreadable=True)


class Memory:
    """A data set without files."""

    def __init__(self, classes, targets, blobs):
        self.classes, self.targets, self.blobs = classes, np.array(targets), blobs
        self.multi_label, self.names = self.targets.ndim == 2, [f"m{i}" for i in range(len(blobs))]

    def __len__(self):
        return len(self.blobs)

    def read(self, index):
        return self.blobs[index]


def arrays(count):
    rng, blobs, pictures = np.random.default_rng(2), [], []
    for _ in range(count):
        pictures.append(rng.integers(0, 256, (33, 50, 3), dtype=np.uint8))
        file = io.BytesIO()
        np.save(file, pictures[-1])
        blobs.append(file.getvalue())
    return blobs, pictures


def test_arrays_are_pictures_too(model):
    blobs, images = arrays(5)
    found = answer(model, Memory(("cat", "dog"), [0, 1, 0, 1, 1], blobs))
    assert np.array_equal(found.logits, model.logits(images)) and found.sides.tolist() == [33] * 5
    with pytest.raises(ImageError, match=r"m1: it is damaged"):
        answer(model, Memory(("cat", "dog"), [0, 1], [blobs[0], blobs[1][:-1]]))
    two = io.BytesIO()
    np.save(two, np.zeros((40, 40, 2), np.uint8))
    with pytest.raises(ImageError, match=r"m1: an image array is uint8 \[40, 40, 2\].*skip_unreadable"):
        answer(model, Memory(("cat", "dog"), [0, 1], [blobs[0], two.getvalue()]))


def test_several_data_sets_as_one(model, data):
    parts = [data.subset([3, 4]), data.subset([]), data.subset([20, 0, 9])]
    whole, joined = data.subset([3, 4, 20, 0, 9]), Joined(parts)
    assert len(joined) == 5 and list(joined.names) == list(whole.names)
    assert [joined.read(i) for i in range(5)] == [whole.read(i) for i in range(5)]
    assert np.array_equal(answer(model, joined).logits, answer(model, whole).logits)


# Several labels a picture


def test_a_multi_label_model():
    model = lcnet.Classifier(stored(Decision(multi_label=True)), threads=1)
    blobs, images = arrays(40)
    probs = model.probs(images)
    rng = np.random.default_rng(3)
    there = (rng.random((40, 3)) < 0.5).astype(np.uint8)  # of dog, cat and newt, in this order
    data = Memory(("dog", "cat", "newt"), there, blobs)
    result = evaluate(model, data)
    wide = np.zeros((40, 6), bool)
    wide[:, [1, 0, 5]] = there
    chosen = probs >= 0.5
    assert result.summary["exact"].value == (wide == chosen).all(axis=1).mean()
    both = (wide & chosen).sum()
    assert result.summary["micro_f1"].value == pytest.approx(2 * both / (wide.sum() + chosen.sum()))
    assert np.isnan(result.average_precisions[[2, 3, 4]]).all()
    assert result.summary["mAP"].value == pytest.approx(result.average_precisions[[1, 0, 5]].mean())
    assert result.summary["mAP"].low < result.summary["mAP"].value < result.summary["mAP"].high
    expected = -np.where(wide, np.log(probs), np.log1p(-probs)).mean()
    assert result.summary["loss"].value == pytest.approx(expected, rel=1e-4)
    assert result.pairs is None and json.dumps(result.to_json(), allow_nan=False)
    worst = result.mistakes[0]
    off = np.where(wide != chosen, np.abs(probs - wide), 0)
    assert off[worst.sample].max() == off.max()
    assert worst.truth == " | ".join(np.array(NAMES)[wide[worst.sample]])
    single = Memory(("dog", "cat", "newt"), there.argmax(axis=1), blobs)
    assert evaluate(model, single).answers.targets.sum() == 40
    with pytest.raises(InputError, match="several labels a picture, the model gives one"):
        evaluate(lcnet.Classifier(stored(), threads=1), data)


def test_a_model_without_classifier_is_refused(data):
    config = ModelConfig(Arch(0.25, num_classes=0), Preprocessing((3, 32, 32)))
    with pytest.raises(InputError, match="no classifier"):
        evaluate(lcnet.Classifier(ModelFile(config, random_weights(config.arch)), threads=1), data)


def test_the_bundled_checkpoint_has_its_published_accuracy(cifar10_test):
    result = evaluate(lcnet.load("lcnet_050.cifar10"), open_dataset(cifar10_test).train)
    published, _ = zoo.find("lcnet_050.cifar10").accuracy["cifar10_subset"]
    assert result.pictures == 5000
    assert abs(100 * result.summary["top1"].value - published) < 0.05  # the table has one decimal
    assert measure(replace(result.answers)).to_json() == result.to_json()


# The command


@pytest.fixture
def path(tmp_path):
    modelfile.write(tmp_path / "model.safetensors", stored())
    return tmp_path / "model.safetensors"


def run(*arguments, code=0):
    result = CliRunner().invoke(command, [str(a) for a in (*arguments, "--threads", 1)])
    if code:
        assert isinstance(result.exception, lcnet.LcnetError) or result.exit_code == code, result.output
        return str(result.exception)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


def test_the_table(path, folder):
    out = run(path, folder).stdout
    assert f"{path} on all of {folder}: 28 pictures" in out
    for words in (
        "top-1",
        "top-5",
        "balanced accuracy",
        "calibration error",
        "Polar Bear",
        "shorter side",
        "note: the data has 4",
    ):
        assert words in out
    assert "newt" not in out, "a class without pictures"


def test_json_and_skipping(path, damaged):
    assert "empty" in run(path, damaged, code=1) or "broken" in run(path, damaged, code=1)
    options = [str(path), str(damaged), "--threads", "1", "--skip-unreadable"]
    done = CliRunner().invoke(command, [*options, "-f", "json"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["pictures"] == 26 and len(found["skipped"]) == 2 and found["split"] == "all"
    assert "not read: " in CliRunner().invoke(command, options).stdout


def test_parts(path, folder, tmp_path):
    import shutil

    for part in ("train", "val", "test"):
        shutil.copytree(folder, tmp_path / "parts" / part)
    (tmp_path / "parts" / "test" / "cat" / "0.png").unlink()

    def split(*options):
        found = json.loads(run(path, tmp_path / "parts", "-f", "json", *options).stdout)
        return found["split"], found["pictures"]

    assert split() == ("test", 27) and split("--split", "val") == ("val", 28) and split("--split", "all") == ("all", 83)
    assert split("--threshold", "fpr<=0.5") == ("val", 28), "what is fitted is not fitted on the test pictures"
    assert split("--threshold", "0.5") == ("test", 27), "nothing is fitted"
    assert "no part 'val': it has train" in run(path, folder, "--split", "val", code=1)


def test_the_decision_layer_is_found_and_stored(path, folder, tmp_path):
    before = path.read_bytes()
    copy = tmp_path / "copy.safetensors"
    out = run(path, folder, "--threshold", "fpr<=0.1", "-o", copy).stdout
    assert path.read_bytes() == before and "thresholds for fpr<=0.1: 6 labels" in out and "with thresholds" in out
    config = modelfile.read_config(copy)
    assert set(config.decision.thresholds) == set(NAMES) and config.decision.temperature is None
    assert config.provenance["decision"] == {"pictures": 28, "part": "all", "temperature": "kept", "thresholds": "fpr<=0.1"}
    found = json.loads(run(copy, folder, "-f", "json").stdout)
    assert all(row["decided"]["fpr"] <= 0.1 for row in found["classes"])
    assert "exists: choose another name" in run(path, folder, "--threshold", "fpr<=0.1", "-o", copy, code=1)
    out = run(path, folder, "--threshold", "recall>=0.5", "--in-place").stdout
    assert f"{path}: decision layer stored" in out and modelfile.read_config(path).decision.thresholds is not None


def test_nothing_is_stored_unless_it_is_said_where(path, folder):
    before = path.read_bytes()
    out = run(path, folder, "--threshold", "0.5").stdout
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    assert "with thresholds" in out and "threshold 0.5 for all 6 labels" in out
    assert "nothing is stored: the same with -o FILE stores it in a copy of the model, with --in-place in" in out
    done = run(path, folder, "--threshold", "0.5", "-f", "json")
    assert json.loads(done.stdout)["decision"]["thresholds"] == dict.fromkeys(NAMES, 0.5)
    assert "nothing is stored" in done.stderr and path.read_bytes() == before
    assert json.loads(run(path, folder, "-f", "json").stdout)["decision"]["thresholds"] is None
    run(path, folder, "--threshold", "0.5", "--in-place")
    config = modelfile.read_config(path)
    assert config.decision.thresholds == dict.fromkeys(NAMES, 0.5) and config.provenance["decision"]["thresholds"] == "0.5"


def test_a_temperature_is_fitted_in_place(cifar10_test, tmp_path):
    few = tmp_path / "few"
    for name in ("cat", "dog", "truck"):
        (few / name).mkdir(parents=True)
        for file in sorted((cifar10_test / name).iterdir())[:60]:
            (few / name / file.name).symlink_to(file)
    model = tmp_path / "m.safetensors"
    assert "is shared (bundled" in run("lcnet_050.cifar10", few, "--temperature", "--in-place", code=1)
    out = run("lcnet_050.cifar10", few, "--temperature", "-o", model).stdout
    assert "log loss" in out and "decision layer stored" in out
    first = modelfile.read_config(model).decision.temperature
    before = json.loads(run("lcnet_050.cifar10", few, "-f", "json").stdout)
    after = json.loads(run(model, few, "-f", "json").stdout)
    assert after["loss"]["value"] < before["loss"]["value"] and after["top1"] == before["top1"]
    run(model, few, "--temperature", "--in-place")
    assert modelfile.read_config(model).decision.temperature == first


def test_mistakes_are_told_before_any_work(path, folder, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    for options, words in (
        (("--threshold", "f1>=1"), "is none of fpr<=X"),
        (("-o", tmp_path / "y"), "--output is where a decision layer is stored: ask for --temperature or --threshold"),
        (("--in-place",), "--in-place is where a decision layer is stored: ask for --temperature or --threshold"),
        (("--threshold", "0.5", "-o", tmp_path / "y", "--in-place"), "choose one"),
        (("--temperature", "-o", tmp_path / "no" / "y"), "there is no folder"),
        (("--report", tmp_path / "full"), "exists: choose another name"),
        (("--report", tmp_path / "full", "--overwrite"), "is no report"),
    ):
        assert words in run(path, folder, *options, code=1)
    assert "leave out --restrict and --real" in run(path, folder, "--temperature", "--restrict", code=1)


def test_options_that_cannot_be_meant_are_misuse(path, folder, tmp_path):
    from lcnet.cli import main

    for options in (["--threshold", "x"], ["--in-place"], ["--threshold", "1", "--in-place", "-o", str(tmp_path / "y")]):
        assert CliRunner().invoke(main, ["evaluate", str(path), str(folder), *options]).exit_code == 2


def test_the_report_of_the_command(path, folder, tmp_path):
    out = run(path, folder, "--report", tmp_path / "report", "-f", "json")
    assert json.loads(out.stdout)["pictures"] == 28 and "report.html: written" in out.stderr
    assert (tmp_path / "report" / "report.html").is_file()
