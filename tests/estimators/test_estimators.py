"""`lcnet.sklearn` as scikit-learn uses it: clone, pickle, pipelines, columns, searches, workers, and what is refused."""

import dataclasses
import os
import pickle
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from weights import random_weights

import lcnet
from lcnet import hub
from lcnet.errors import ImageError, InputError, ModelFileError

sklearn = pytest.importorskip("sklearn", "1.6", reason="scikit-learn 1.6 or newer (extra: sklearn) is not installed")

from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

from lcnet.sklearn import Classifier, Embedder, HeadClassifier

MODEL = "lcnet_050.cifar10"
PAGE = Path(__file__).parents[2] / "docs" / "sklearn.md"
ESTIMATORS = (Embedder, Classifier, HeadClassifier)


def colored(seed, red):
    """A picture that is rather red or rather blue, uint8 [32,32,3]."""
    pixels = np.random.default_rng(seed).integers(0, 60, (32, 32, 3), dtype=np.uint8)
    pixels[:, :, 0 if red else 2] += 150
    return pixels


PIXELS = np.stack([colored(n, n % 2) for n in range(16)])
COLORS = np.array(["red" if n % 2 else "blue" for n in range(16)])


@pytest.fixture(scope="module")
def expected():
    return lcnet.load(MODEL, threads=1).embeddings(PIXELS)


@pytest.fixture
def paths(tmp_path):
    files = [str(tmp_path / f"{n}.png") for n in range(len(PIXELS))]
    for file, pixels in zip(files, PIXELS, strict=True):
        Image.fromarray(pixels).save(file)
    return files


def of_tiny(tmp_path, source="lcnet_050.cifar10"):
    """A model file of our own, which tests may replace."""
    return shutil.copy(hub.locate(source).path, tmp_path / "model.safetensors")


# What X may be


def test_every_kind_of_x_gives_the_same_rows(paths, expected):
    kinds = [
        PIXELS,
        list(PIXELS),
        paths,
        tuple(map(Path, paths)),
        np.array(paths),
        np.array(paths, object)[:, None],
        [Path(p).read_bytes() for p in paths],
        [Image.fromarray(p) for p in PIXELS],
    ]
    embedder = Embedder(MODEL)
    for X in kinds:
        np.testing.assert_array_equal(embedder.transform(X), expected)
    assert embedder.transform(expected[:0].astype(object)[:, 0]).shape == (0, 1280)


@pytest.mark.parametrize(
    ("X", "said"),
    [
        ("a.jpg", "X is str, expected a list"),
        (b"bytes", "X is bytes"),
        (Image.new("RGB", (8, 8)), "X is Image, expected"),
        (PIXELS[0], r"X is uint8 \[32, 32, 3\]"),
        (np.zeros((3, 2)), r"X is float64 \[3, 2\]"),
        (np.array([["a", "b"]]), "expected one column"),
        ([PIXELS[0].astype(float)], "picture 0 of X: .*float64"),
    ],
)
def test_what_is_no_x_is_refused(X, said):
    with pytest.raises(InputError, match=said):
        Embedder(MODEL).transform(X)


@pytest.mark.parametrize("bad", ["gone.jpg", b"no picture", None, float("nan"), "new\nline.jpg"])
def test_what_cannot_be_read_is_named_with_its_place(bad):
    with pytest.raises(ImageError, match="picture 1 of X"):
        Embedder(MODEL).transform([PIXELS[0], bad])


def test_folders_and_patterns_are_no_pictures(paths):
    """A row of X is one row of what comes out."""
    for bad in (str(Path(paths[0]).parent), str(Path(paths[0]).parent / "*.png")):
        with pytest.raises(ImageError, match="picture 0 of X"):
            Embedder(MODEL).transform([bad])


# The rules of scikit-learn


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_estimator_is_cloned_and_shown_and_keeps_its_parameters(kind):
    estimator = kind("a name", threads=3, precision="bf16", decode="fast")
    assert clone(estimator).get_params() == estimator.get_params()
    assert "a name" in repr(estimator) and "lcnet" not in repr(vars(estimator))  # nothing is loaded
    assert estimator.set_params(model="another").model == "another"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_scikit_learns_own_checks_pass(kind):
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(kind(MODEL))


def test_tags_say_what_is_taken():
    tags = Embedder(MODEL).__sklearn_tags__()
    assert not tags.requires_fit and tags.no_validation and not tags.input_tags.two_d_array
    assert tags.transformer_tags.preserves_dtype == [] and tags.input_tags.string and tags.input_tags.three_d_array
    assert HeadClassifier(MODEL).__sklearn_tags__().requires_fit and Classifier(MODEL).__sklearn_tags__().estimator_type


def test_features_have_names():
    names = Embedder(MODEL).get_feature_names_out()
    assert len(names) == 1280 and names[0] == "embedder0" and names[-1] == "embedder1279"


@pytest.mark.parametrize("fitted", [False, True])
def test_a_pickle_is_small_and_loads_again(fitted, expected):
    embedder = Embedder(MODEL)
    if fitted:
        embedder.fit(PIXELS).transform(PIXELS)
    data = pickle.dumps(embedder)
    assert len(data) < 500
    np.testing.assert_array_equal(pickle.loads(data).transform(PIXELS), expected)


def test_another_file_under_the_name_is_refused(tmp_path, expected):
    model = of_tiny(tmp_path)
    fitted = [kind(str(model)).fit(PIXELS, labels) for kind, labels in zip(ESTIMATORS, (None, None, COLORS), strict=True)]
    pickled = pickle.dumps(fitted)
    _change(model)
    for embedder in (*fitted[:1], *pickle.loads(pickled)[:1]):
        with pytest.raises(ModelFileError, match=r"another file \(sha256 .*than this Embedder was fitted with"):
            embedder.transform(PIXELS)
    for classifier in (*fitted[1:], *pickle.loads(pickled)[1:]):
        with pytest.raises(ModelFileError, match="another file"):
            classifier.predict(PIXELS)
    assert fitted[0].fit(PIXELS).transform(PIXELS).shape == expected.shape  # by a new fit it is taken


def _change(model):
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(data)


def test_another_name_is_another_model(tmp_path, expected):
    embedder = Embedder(MODEL).fit(PIXELS)
    other = of_tiny(tmp_path)
    _change(other)
    assert embedder.set_params(model=str(other)).transform(PIXELS).shape == expected.shape
    head = HeadClassifier(MODEL).fit(PIXELS, COLORS).set_params(model=str(other))
    with pytest.raises(InputError, match="fit again"):
        head.predict(PIXELS)


def test_a_model_is_a_name():
    for bad in (lcnet.load(MODEL), None, 3):
        with pytest.raises(InputError, match="model is"):
            Embedder(bad).fit(PIXELS)


# Columns of frames


def test_columns_of_pandas_keep_their_index(paths, expected):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"file": paths, "size": range(len(paths))}, index=[f"row {n}" for n in range(len(paths))])
    embedder = Embedder(MODEL)
    np.testing.assert_array_equal(embedder.transform(frame["file"]), expected)
    np.testing.assert_array_equal(embedder.transform(frame[["file"]]), expected)
    with pytest.raises(InputError, match=r"2 columns \(file, size\)"):
        embedder.transform(frame)
    for X in (frame["file"], frame[["file"]]):
        found = Embedder(MODEL).set_output(transform="pandas").fit_transform(X)
        assert list(found.index) == list(frame.index) and list(found.columns[:2]) == ["embedder0", "embedder1"]
        np.testing.assert_array_equal(found.to_numpy(), expected)
    both = ColumnTransformer([("picture", Embedder(MODEL), "file"), ("number", "passthrough", ["size"])])
    table = both.set_output(transform="pandas").fit_transform(frame)
    assert list(table.columns[[0, -1]]) == ["picture__embedder0", "number__size"] and list(table.index) == list(frame.index)
    missing = frame["file"].where(frame["size"] != 2)
    with pytest.raises(ImageError, match="picture 2 of X is missing"):
        embedder.transform(missing)


def test_columns_of_polars(paths, expected):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.DataFrame({"file": paths, "size": range(len(paths))})
    for X in (frame["file"], frame.select("file")):
        found = Embedder(MODEL).set_output(transform="polars").fit_transform(X)
        assert found.columns[0] == "embedder0"
        np.testing.assert_array_equal(found.to_numpy(), expected)


def test_skops_keeps_what_was_fitted(expected):
    io = pytest.importorskip("skops.io", reason="skops is not installed")
    pipeline = make_pipeline(Embedder(MODEL), LogisticRegression()).fit(PIXELS, COLORS)
    data = io.dumps(pipeline)
    assert io.get_untrusted_types(data=data) == ["lcnet.sklearn.Embedder"]
    again = io.loads(data, trusted=["lcnet.sklearn.Embedder"])
    assert list(again.predict(PIXELS)) == list(COLORS) and again[0].sha256_ == pipeline[0].sha256_


# Pipelines, searches and workers


def test_a_pipeline_learns_and_its_steps_are_cached(tmp_path):
    train, test, y_train, y_test = train_test_split(PIXELS, COLORS, random_state=0, stratify=COLORS)
    pipeline = make_pipeline(Embedder(MODEL), LogisticRegression(), memory=str(tmp_path))
    assert pipeline.fit(train, y_train).score(test, y_test) == 1
    assert pipeline.fit(train, y_train).score(test, y_test) == 1


@pytest.mark.slow
@pytest.mark.skipif(find_spec("skops") is None, reason="starts processes: `make test-sklearn` runs it")
def test_a_search_in_two_processes_finds_what_one_finds(paths):
    def searched(jobs):
        search = GridSearchCV(HeadClassifier(MODEL), {"C": [1e-6, 1.0]}, cv=2, n_jobs=jobs, error_score="raise")
        return search.fit(paths, COLORS)

    with parallel_config("loky"):
        one, two = searched(1), searched(2)
    assert one.best_params_ == two.best_params_ == {"C": 1.0} or one.best_score_ == 1
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert cross_val_score(make_pipeline(Embedder(MODEL), RidgeClassifier()), paths, COLORS, cv=2, n_jobs=2).tolist() == [1, 1]
    threads = Parallel(n_jobs=2, backend="loky")(delayed(threads_of)(Embedder(MODEL)) for _ in range(2))
    assert threads == [1, 1]


def threads_of(embedder):
    return embedder._engine().threads


def test_workers_have_one_thread_and_others_what_is_there(monkeypatch):
    monkeypatch.setattr("lcnet.runtime.usable_cpus", lambda: 2)
    assert threads_of(Embedder(MODEL)) == 2 and threads_of(Embedder(MODEL, threads=3)) == 3
    found = Parallel(n_jobs=2, backend="threading")(
        delayed(threads_of)(e) for e in (Embedder(MODEL), Embedder(MODEL, threads=3))
    )
    assert found == [1, 3]


def test_networks_are_kept_and_not_loaded_again(monkeypatch):
    Embedder(MODEL).fit(PIXELS)
    monkeypatch.setattr("lcnet.sklearn.load", lambda *_: pytest.fail("loaded again"))
    assert clone(Embedder(MODEL)).transform(PIXELS[:1]).shape == (1, 1280)


# Classifiers


def test_a_models_own_classes_are_sorted(tmp_path):
    read = lcnet.modelfile.read(hub.locate(MODEL).path)
    names = ("z", "b", "a", "c", "d", "e", "f", "g", "a", "h")  # not sorted, and one twice
    config = dataclasses.replace(read.config, labels=lcnet.config.Labels(names))
    file = tmp_path / "named.safetensors"
    lcnet.modelfile.write(file, dataclasses.replace(read, config=config))
    model, classifier = lcnet.load(file, threads=1), Classifier(str(file))
    probs, found = model.probs(PIXELS), classifier.predict_proba(PIXELS)
    assert list(classifier.classes_) == sorted(set(names))
    np.testing.assert_allclose(found[:, 0], probs[:, 2] + probs[:, 8], rtol=1e-6)
    np.testing.assert_array_equal(found[:, -1], probs[:, 0])
    np.testing.assert_array_equal(classifier.decision_function(PIXELS)[:, 1], model.logits(PIXELS)[:, 1])
    assert found.shape == (16, 9) and set(classifier.predict(PIXELS)) <= set(names)
    log_loss(classifier.predict(PIXELS), found, labels=classifier.classes_)


def test_a_frozen_classifier_scores_and_refuses_classes_that_it_has_not():
    classifier = Classifier(MODEL).fit(PIXELS, ["cat"] * 16)
    own = classifier.predict(PIXELS)
    assert classifier.score(PIXELS, own) == 1 and list(own) == [r.top[0].label for r in lcnet.load(MODEL).classify(PIXELS)]
    with pytest.raises(InputError, match=r"'blue', 'red'.*HeadClassifier"):
        classifier.fit(PIXELS, COLORS)


def test_of_two_classes_the_decision_is_one_column(tmp_path):
    head = HeadClassifier(MODEL).fit(PIXELS, COLORS)
    assert roc_auc_score(COLORS, head.decision_function(PIXELS)) == 1 and head.predict_proba(PIXELS).shape == (16, 2)
    arch = lcnet.arch.Arch(0.35, num_classes=2)
    config = lcnet.config.ModelConfig(arch, lcnet.config.Preprocessing((3, 32, 32)), lcnet.config.Labels(("no", "yes")))
    lcnet.modelfile.write(tmp_path / "two.safetensors", lcnet.modelfile.ModelFile(config, random_weights(arch, 0)))
    classifier, logits = Classifier(str(tmp_path / "two.safetensors")), lcnet.load(tmp_path / "two.safetensors").logits(PIXELS)
    np.testing.assert_array_equal(classifier.decision_function(PIXELS), logits[:, 1] - logits[:, 0])


def test_a_head_is_anyones(expected):
    head = HeadClassifier(MODEL, RidgeClassifier(alpha=3.0)).fit(PIXELS, COLORS)
    own = RidgeClassifier(alpha=3.0).fit(expected, COLORS)
    np.testing.assert_array_equal(head.decision_function(PIXELS), own.decision_function(expected))
    assert not hasattr(head, "predict_proba") and head.get_params()["head__alpha"] == 3.0
    assert hasattr(HeadClassifier(MODEL), "predict_proba") and not hasattr(head.head, "coef_")  # the one given is not fitted
    weighted = HeadClassifier(MODEL).fit(PIXELS, COLORS, sample_weight=np.ones(16))
    assert list(weighted.classes_) == ["blue", "red"]
    with pytest.raises(NotFittedError):
        HeadClassifier(MODEL).predict(PIXELS)


# The documentation


def test_the_page_runs(paths, tmp_path, monkeypatch):
    pytest.importorskip("pandas", reason="pandas is not installed")
    monkeypatch.chdir(tmp_path)
    values = {"paths": paths, "labels": COLORS}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(code.replace('"lcnet_050"', f'"{MODEL}"'), values)
    assert values["accuracy"].mean() == 1


def test_scikit_learn_is_not_needed_by_anything_else():
    code = "import sys, lcnet, lcnet.cli; lcnet.load; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


@pytest.mark.parametrize("name", ["NAType", "NaTType"])
def test_what_pandas_has_where_there_is_nothing_is_missing(name):
    missing = type(name, (), {})()
    with pytest.raises(ImageError, match="picture 1 of X is missing"):
        Embedder("lcnet_050.cifar10").transform([np.zeros((8, 8, 3), np.uint8), missing])
