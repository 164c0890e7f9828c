"""Which pictures a model is calibrated and judged on, and what the gate decides."""

import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quantized_models import save, trained

from lcnet.arch import Arch
from lcnet.config import Labels
from lcnet.errors import InputError
from lcnet.quantize import acceptance, pictures

LABELS = trained().config.labels
PREPROCESSING = trained().config.preprocessing
MS = {"fp32_ms": 2.0, "int8_ms": 1.0}


# Which pictures


def test_pictures_are_spread_over_all_that_there_are(tmp_path):
    for name in "abcdefgh":
        folder = tmp_path / name
        folder.mkdir()
        for i in range(100):
            (folder / f"{i}.png").touch()
    chosen = pictures.pool(str(tmp_path), 128)
    assert len(set(chosen)) == len(chosen) == 128
    assert min(sum(p.parent.name == name for p in chosen) for name in "abcdefgh") >= 4
    assert [p.parent.name for p in chosen] == sorted(p.parent.name for p in chosen)
    assert pictures.pool(str(tmp_path), 128) == chosen


def test_few_pictures_are_shared_out(tmp_path):
    chosen = pictures.choose(save(tmp_path, 32), 128, PREPROCESSING)
    assert (len(chosen.calibrating), len(chosen.held_out), chosen.distinct) == (24, 8, 8)
    assert {p.name for p in chosen.calibrating + chosen.held_out} == {f"{i:03}.png" for i in range(32)}
    assert chosen.report == {"looked_at": 32, "distinct": 32, "left_out": 0, "problems": []}
    again = pictures.choose(tmp_path, 128, PREPROCESSING)
    assert (again.calibrating, again.held_out) == (chosen.calibrating, chosen.held_out)


def test_of_many_pictures_as_many_judge_as_calibrate(tmp_path):
    chosen = pictures.choose(save(tmp_path, 100), 32, PREPROCESSING)
    assert (len(chosen.calibrating), len(chosen.held_out)) == (32, 32)
    assert not set(chosen.calibrating) & set(chosen.held_out)


def test_only_names_are_kept(tmp_path):
    """However many pictures there are, no more than those that are looked at are in memory."""

    def endless():
        for i in range(5_000):
            yield tmp_path / f"{i}.png"

    chosen = pictures.pool(endless(), 64)
    assert len(chosen) == 64
    assert max(int(p.stem) for p in chosen) > 2_000


def test_too_few_pictures_are_refused(tmp_path):
    with pytest.raises(InputError, match=rf"{tmp_path}: 0 pictures to calibrate on, expected at least 32"):
        pictures.pool([str(tmp_path)], 128)
    with pytest.raises(InputError, match="missing: there is no such file or folder"):
        pictures.pool([str(tmp_path / "missing")], 128)
    save(tmp_path / "some", 31)
    with pytest.raises(InputError, match="31 pictures"):
        pictures.pool([str(tmp_path)], 128)


def test_unreadable_and_one_coloured_pictures_are_left_out(tmp_path):
    save(tmp_path, 5)
    (tmp_path / "005.png").write_bytes(b"no picture")
    (tmp_path / "006.png").write_bytes((tmp_path / "000.png").read_bytes()[:500])
    Image.new("RGB", (64, 64)).save(tmp_path / "007.png")
    Image.new("RGB", (300, 20), "teal").save(tmp_path / "008.png")
    problems = []
    parts = list(pictures.batches(sorted(tmp_path.iterdir()), trained().config.preprocessing, problems, size=2))
    assert [len(x) for x in parts] == [2, 2, 1]
    assert len(problems) == 4
    assert [f"{n:03}.png" in problem for n, problem in enumerate(problems, 5)] == [True] * 4
    assert "all of one colour" in problems[2]
    assert "all of one colour" in problems[3]


def test_labelled_folders(tmp_path):
    save(tmp_path / "cat", 2)
    save(tmp_path / "truck" / "deeper", 1)
    (tmp_path / "cat" / "notes.txt").touch()
    (tmp_path / ".hidden").mkdir()
    found = pictures.labeled(tmp_path, trained().config)
    assert sorted((Path(p.name).name, LABELS.names[i]) for p, i in found) == [
        ("000.png", "cat"),
        ("000.png", "truck"),
        ("001.png", "cat"),
    ]
    by_id = replace(trained().config, arch=Arch(0.5, num_classes=2), labels=Labels(("a", "b"), ("cat", "truck")))
    assert sorted(i for _, i in pictures.labeled(tmp_path, by_id)) == [0, 0, 1]


def test_the_test_part_is_judged(tmp_path):
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        for name in ("cat", "dog"):
            save(tmp_path / part / name, count, seed=count)
    assert len(pictures.labeled(tmp_path, trained().config)) == 2


def test_labelled_data_that_will_not_do(tmp_path):
    with pytest.raises(InputError, match="there is no such file or folder"):
        pictures.labeled(tmp_path / "missing", trained().config)
    for name in ("cats", "dog"):
        save(tmp_path / name, 1)
    with pytest.raises(InputError, match=r"no classes of the model: 'cats'; did you mean 'cat'"):
        pictures.labeled(tmp_path, trained().config)
    table = tmp_path / "several.csv"
    table.write_text("path,label\ncats/000.png,cat|dog\ndog/000.png,dog\n")
    with pytest.raises(InputError, match="judged by top-1"):
        pictures.labeled(table, trained().config)


# The gate


def compared(expected, found, classes=None):
    out = acceptance.Comparison()
    half = len(expected) // 2
    for part in (slice(0, half), slice(half, None)):
        out.add(expected[part], found[part], classes[part] if classes is not None else None)
    return out


def onehot(classes, size=8.0):
    return (np.eye(4)[np.asarray(classes)] * size).astype(np.float32)


def test_equal_outputs_pass(rng):
    logits = rng.normal(size=(50, 10)).astype(np.float32)
    same = compared(logits, logits, [0] * 50)
    assert (same.same, same.lost, same.sqnr_db, same.drop) == (50, 0, 120, 0)
    low, high = same.interval()
    assert -6 < low < 0 < high < 6
    assert acceptance.reasons(same, same, MS, 0.5) == []


def test_sqnr_and_expected_drop(rng):
    logits = rng.normal(size=(2000, 10)).astype(np.float32)
    noisy = logits + (rng.normal(size=logits.shape) * 0.1).astype(np.float32)
    found = compared(logits, noisy)
    assert 19.5 < found.sqnr_db < 20.5
    assert 0 < 100 * found.lost / 2000 < 1  # the choices that change are those that were close
    assert found.same < 2000


def test_the_drop_is_paired():
    """7 of 100 lost, 2 won: the drop is 5 points, and its interval knows that the other 91 agree."""
    truth = [0] * 100
    expected = onehot([0] * 95 + [1] * 5)
    answers = [1] * 7 + [0] * 88 + [0] * 2 + [1] * 3
    found = compared(expected, onehot(answers), truth)
    assert (found.right, found.only, found.labeled) == ([95, 90], [7, 2], 100)
    assert found.drop == pytest.approx(5)
    low, high = found.interval()
    assert -1.5 < low < 0 < high < 11.5
    reasons = acceptance.reasons(found, found, MS, 0.5)
    assert any("top-1 drops by 5.00 points" in r and "at most 0.5" in r for r in reasons)
    good = compared(expected, expected)
    assert acceptance.reasons(good, found, MS, 5.0) == []


def test_the_interval_covers_what_it_says(rng):
    """Of repeated experiments, about 95 of 100 intervals hold the true drop of 2 points."""
    hits = 0
    for _ in range(400):
        kind = rng.choice(3, 500, p=[0.03, 0.01, 0.96])
        found = acceptance.Comparison(labeled=500, only=[int((kind == 0).sum()), int((kind == 1).sum())])
        low, high = found.interval()
        hits += low <= 2 <= high
    assert 0.92 < hits / 400 < 0.985


def test_without_labels_a_sure_answer_that_changes_counts(rng):
    expected = onehot(rng.integers(0, 4, 200))
    found = expected.copy()
    found[:2] = np.roll(found[:2], 1, axis=1)
    reasons = acceptance.reasons(compared(expected, found), None, MS, 0.5)
    assert any("top-1 is expected to drop by 1.00 points" in r for r in reasons)
    assert acceptance.reasons(compared(expected, found), None, MS, 1.1) == []


def test_noise_slowness_and_nan_are_refused(rng):
    logits = onehot([0, 1, 2, 3] * 8)
    noise = compared(logits, logits + rng.normal(size=logits.shape).astype(np.float32))
    assert any("dB above the noise" in r for r in acceptance.reasons(noise, None, MS, 100))
    same = compared(logits, logits)
    for ms in (1.0, 1.5):
        assert any("not faster here" in r for r in acceptance.reasons(same, None, {"fp32_ms": 1.0, "int8_ms": ms}, 0.5))
    broken = compared(logits, np.full_like(logits, np.nan))
    assert acceptance.reasons(broken, None, MS, 100)


def test_latency_takes_turns(monkeypatch):
    monkeypatch.setattr(acceptance, "ROUND_SECONDS", 0.001)
    order = []
    found = acceptance.latency(lambda x: order.append("a"), lambda x: [order.append("b"), sum(range(20_000))], np.zeros(1))
    turns = "".join(a for a, b in zip(order, [*order[1:], ""], strict=True) if a != b)
    assert turns == "ab" * (acceptance.ROUNDS + 1)
    assert 0 < found["fp32_ms"] < found["int8_ms"]


def work(seconds):
    """Keep the processor busy for as long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_busy_machine_does_not_make_int8_faster(monkeypatch):
    """Other programs have the processor during every call of fp32: by the clock on the wall int8 took a third of its time."""
    monkeypatch.setattr(acceptance, "ROUND_SECONDS", 0.01)
    found = acceptance.latency(lambda x: [work(0.001), time.sleep(0.006)], lambda x: work(0.002), np.zeros(1))
    assert found["fp32_ms"] == pytest.approx(1.0, rel=0.3)
    assert found["int8_ms"] == pytest.approx(2.0, rel=0.3)
    assert any("not faster here" in r for r in acceptance.reasons(acceptance.Comparison(), None, found, 0.5))


def test_slow_spells_of_the_processor_do_not_count(monkeypatch):
    """More than half of the calls of int8 take five times as long, as where another program empties the caches."""
    monkeypatch.setattr(acceptance, "ROUND_SECONDS", 0.01)
    turns = itertools.count()
    found = acceptance.latency(lambda x: work(0.002), lambda x: work(0.001 if next(turns) % 5 < 2 else 0.005), np.zeros(1))
    assert found["int8_ms"] == pytest.approx(1.0, rel=0.3)
    assert found["fp32_ms"] == pytest.approx(2.0, rel=0.3)


def test_answers_that_are_all_the_same_prove_nothing():
    same, two, many = (compared(onehot(a), onehot(a)) for a in ([3] * 12, [0] * 11 + [2], [0, 1, 2, 3] * 3))
    assert acceptance.one_answer(same, 4) == [
        "it is judged by 12 pictures that fp32 all gives one class of 4, expected two at least"
    ]
    assert acceptance.one_answer(same, 1) == acceptance.one_answer(same, 0) == acceptance.one_answer(two, 4) == []
    assert acceptance.doubts(two, 12, 4) == [
        "few distinct pictures to judge by: 12; 32 or more say more",
        "few classes among the answers: 2 of 4; of the others nothing is known",
    ]
    assert acceptance.doubts(two, 32, 2) == acceptance.doubts(many, 32, 10) == []
    assert (two.summary(True)["classes"], many.summary(True)["classes"]) == (2, 4)
