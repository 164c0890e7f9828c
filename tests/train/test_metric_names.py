"""A metric has one name and one value, whether training validates or `lcnet evaluate` measures."""

from types import SimpleNamespace

import numpy as np
import pytest

from lcnet.arch import Arch
from lcnet.config import Decision, Labels, ModelConfig
from lcnet.evaluate import Answers, measure

pytest.importorskip("torch")

from lcnet.train.validation import METRICS, scores

NAMES, SIZE = ("cat", "dog", "newt", "owl"), 120


@pytest.mark.parametrize("multi_label", [False, True])
def test_what_training_validates_is_what_evaluation_measures(multi_label):
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(SIZE, len(NAMES))).astype(np.float32)
    targets = (rng.random(logits.shape) < 0.4).astype(np.uint8) if multi_label else rng.integers(0, len(NAMES), SIZE)
    dataset = SimpleNamespace(targets=targets, classes=NAMES, multi_label=multi_label, names=["a.png"] * SIZE)
    found = scores(logits, dataset)
    assert set(found) == {name for name, (_, task) in METRICS.items() if task in (None, multi_label)}
    arch, decision = Arch(0.25, num_classes=len(NAMES)), Decision(multi_label=multi_label)
    config = ModelConfig(arch, labels=Labels(NAMES), decision=decision)
    columns = np.arange(len(NAMES))
    answers = Answers(config, dataset, logits, targets, columns, columns >= 0, np.arange(SIZE), np.full(SIZE, 20))
    measured = measure(answers).summary
    assert {name: measured[name].value for name in found} == pytest.approx(found, rel=1e-5)
