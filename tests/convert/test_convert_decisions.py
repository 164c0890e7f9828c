"""PaddleClas's post-processing as decision layers: against its rules, written out in plain Python, on random probabilities."""

import numpy as np
import pytest

from lcnet.arch import Arch
from lcnet.config import Decision, Labels, ModelConfig
from lcnet.convert.decisions import ATTRIBUTES, TASKS, decision_of, labels_of
from lcnet.errors import ModelFileError
from lcnet.labels.limits import PERSONS, limits_of
from lcnet.runtime.decision import accepted, answers, rules

PERSON = TASKS["person_attribute"].labels
VEHICLE = TASKS["vehicle_attribute"].labels
TABLE = TASKS["table_attribute"].labels


def asked(decision, labels, probs):
    """What a model with these labels answers for probabilities [N,K]: the labels that it accepts, and its groups' answers."""
    config = ModelConfig(Arch(0.25, num_classes=len(labels)), labels=Labels(tuple(labels)), decision=decision)
    for row in accepted(np.asarray(probs, np.float32), rules(config)):
        chosen = tuple(label for label, taken in zip(labels, row, strict=True) if taken)
        yield chosen, dict(answers(decision.groups or (), chosen))


def sigmoids(rng, count, classes):
    """Probabilities float32 of every size, with many ties and many that are exactly a threshold."""
    free = rng.random((count, classes))
    even = rng.integers(0, 9, (count, classes)) / 8
    return np.where(rng.random((count, 1)) < 0.5, free, even).astype(np.float32)


# The rules as PaddleClas states them, with >= where it has > (of which only the boundary can tell).


def person(p, threshold=0.5, glasses=0.3, hold=0.6):
    def best(low, high):
        return low + max(range(high - low), key=lambda i: (p[low + i], -i))

    bag = best(15, 18)
    lower = tuple(PERSON[i] for i in range(8, 14) if p[i] >= threshold)
    return {
        "gender": "Female" if p[22] >= threshold else "Male",
        "age": PERSON[best(19, 22)],
        "direction": PERSON[best(23, 26)],
        "glasses": "yes" if p[1] >= glasses else "no",
        "hat": "yes" if p[0] >= threshold else "no",
        "holds_objects": "yes" if p[18] >= hold else "no",
        "bag": PERSON[bag] if p[bag] >= threshold else "No bag",
        "sleeve": "LongSleeve" if p[3] > p[2] else "ShortSleeve",
        "upper": tuple(PERSON[i] for i in range(4, 8) if p[i] >= threshold),
        "lower": lower or (PERSON[best(8, 14)],),
        "shoes": "Boots" if p[14] >= threshold else "No boots",
    }


def vehicle(p, color=0.5, kind=0.5):
    c = int(np.argmax(p[:10]))
    t = 10 + int(np.argmax(p[10:]))
    return {"color": VEHICLE[c] if p[c] >= color else "Color unknown", "type": VEHICLE[t] if p[t] >= kind else "Type unknown"}


def table(p, source=0.5, number=0.5, color=0.5, clarity=0.5, obstruction=0.5, angle=0.5):
    return {
        "source": "Scanned" if p[0] >= source else "Photo",
        "number": "Little" if p[1] >= number else "Numerous",
        "color": "Black-and-White" if p[2] >= color else "Multicolor",
        "clarity": "Clear" if p[3] >= clarity else "Blurry",
        "obstruction": "Without-Obstacles" if p[4] >= obstruction else "With-Obstacles",
        "angle": "Horizontal" if p[5] >= angle else "Tilted",
    }


RULES = {
    "PersonAttribute": (person, ({}, {"threshold": 0.75, "glasses_threshold": 0.125, "hold_threshold": 0.375})),
    "VehicleAttribute": (vehicle, ({}, {"color_threshold": 0.25, "type_threshold": 0.625})),
    "TableAttribute": (table, ({}, {f"{k}_threshold": (i + 1) / 8 for i, k in enumerate(
        ("source", "number", "color", "clarity", "obstruction", "angle"))})),
}  # fmt: skip
OURS = {
    "glasses_threshold": "glasses",
    "hold_threshold": "hold",
    "type_threshold": "kind",
    **{f"{k}_threshold": k for k in ("source", "number", "color", "clarity", "obstruction", "angle")},
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("which", [0, 1])
def test_attributes_are_answered_as_paddleclas_answers_them(rng, name, which):
    rule, choices = RULES[name]
    params, labels = choices[which], ATTRIBUTES[name].labels
    probs = sigmoids(rng, 4000, len(labels))
    decision = decision_of(name, params, labels)
    assert decision.multi_label
    told = {OURS.get(key, key): value for key, value in params.items()}
    for row, (_, found) in zip(probs.tolist(), asked(decision, labels, probs), strict=True):
        assert found == rule(row, **told)


def test_each_answer_of_a_group_is_a_label_that_is_accepted(rng):
    probs = sigmoids(rng, 500, len(PERSON))
    for chosen, found in asked(TASKS["person_attribute"].decision(), PERSON, probs):
        taken = {found[k] for k in ("age", "direction", "sleeve")} | set(found["upper"]) | set(found["lower"])
        taken |= {found["bag"]} - {"No bag"} | {found["shoes"]} - {"No boots"} | {found["gender"]} - {"Male"}
        yes = {"glasses": "Glasses", "hat": "Hat", "holds_objects": "HoldObjectsInFront"}
        assert set(chosen) == taken | {label for group, label in yes.items() if found[group] == "yes"}


def test_the_last_two_attributes_of_a_table_have_their_own_thresholds():
    """PaddleClas compares both with that of the second."""
    decision = decision_of("TableAttribute", {"number_threshold": 0.9, "angle_threshold": 0.2}, TABLE)
    ((_, found),) = asked(decision, TABLE, [[0.5, 0.6, 0.4, 0.5, 0.6, 0.3]])
    assert found == {
        "source": "Scanned",
        "number": "Numerous",
        "color": "Multicolor",
        "clarity": "Clear",
        "obstruction": "Without-Obstacles",
        "angle": "Horizontal",
    }


def thresh(p, threshold):
    return 0 if p[1] < threshold else 1


@pytest.mark.parametrize("threshold", [0, 0.25, 0.3, 0.5, 0.7, 0.9794, 1])
def test_of_two_classes_the_second_is_the_answer_from_its_threshold_on(rng, threshold):
    labels = TASKS["person_exists"].labels
    second = np.concatenate([rng.random(3000), np.linspace(0, 1, 1001), np.repeat(np.float32(threshold), 3)])
    probs = np.stack([1 - second, second], axis=1).astype(np.float32)
    decision = decision_of("ThreshOutput", {"threshold": threshold, "label_0": "nobody", "label_1": "someone"}, labels)
    for row, (chosen, found) in zip(probs.tolist(), asked(decision, labels, probs), strict=True):
        assert chosen == (labels[thresh(row, threshold)],) and found == {}


@pytest.mark.parametrize("default", [None, 0, 2])
@pytest.mark.parametrize("threshold", [0.25, 0.3, 0.5, 0.75])
def test_of_more_classes_the_best_is_the_answer_if_it_reaches_the_threshold(rng, threshold, default):
    labels = ("a", "b", "c", "d")
    probs = np.concatenate([rng.dirichlet(np.ones(4), 3000), rng.multinomial(8, [0.25] * 4, 1000) / 8]).astype(np.float32)
    params = {"threshold": threshold} | ({} if default is None else {"default_label_index": default})
    decision = decision_of("ThreshOutput", params, labels)
    for row, (chosen, _) in zip(probs.tolist(), asked(decision, labels, probs), strict=True):
        best = max(range(4), key=lambda i: (row[i], -i))
        assert chosen == (labels[best if row[best] >= threshold else default or 0],)


@pytest.mark.parametrize(
    ("given", "each"),
    [
        (None, [0.5] * 3),
        (0.7, [0.7] * 3),
        ([0.2, 0.5, 1.0], [0.2, 0.5, 1.0]),
        ({"default": 0.4, "1": 0.9}, [0.4, 0.9, 0.4]),
        ({"default": 0.4, 2: 0.0}, [0.4, 0.4, 0.0]),
    ],
)
def test_several_labels_have_a_threshold_each(rng, given, each):
    labels = ("a", "b", "c")
    probs = sigmoids(rng, 2000, 3)
    decision = decision_of("MultiLabelThreshOutput", {} if given is None else {"threshold": given}, labels)
    for row, (chosen, _) in zip(probs.tolist(), asked(decision, labels, probs), strict=True):
        assert chosen == tuple(label for label, p, t in zip(labels, row, each, strict=True) if p >= t)


def test_top_k_decides_nothing():
    assert decision_of("Topk", {"topk": 5, "label_list": ["a", "b"]}, ("a", "b")) == Decision()
    assert decision_of("Topk", None, ("a", "b")) == Decision()


def as_text(value):
    if isinstance(value, dict):
        return {key: str(one) for key, one in value.items()}
    return [str(one) for one in value] if isinstance(value, list) else str(value)


def test_numbers_may_be_texts():
    """As of a reader of YAML that reads every value as it is written."""
    for name, params, labels in (
        ("ThreshOutput", {"threshold": 0.25, "default_label_index": 2}, ("a", "b", "c")),
        ("MultiLabelThreshOutput", {"threshold": [0.25, 1, 0]}, ("a", "b", "c")),
        ("MultiLabelThreshOutput", {"threshold": {"default": 0.25, "1": 1e-3}}, ("a", "b", "c")),
        ("TableAttribute", {"color_threshold": 0.25}, TABLE),
    ):
        texts = {key: as_text(value) for key, value in params.items()}
        assert decision_of(name, {"name": name, **texts}, labels) == decision_of(name, params, labels)


def test_labels_may_be_called_otherwise():
    """PaddleX's list has the Chinese names too; the answers have not."""
    glossed = tuple(f"{label}(帽子)" for label in PERSON)
    decision = decision_of("PersonAttribute", {}, glossed)
    probs = np.full((1, 26), 0.1)
    probs[0, [22, 20, 15, 4, 12]] = 0.9
    ((chosen, found),) = asked(decision, glossed, probs)
    assert {"Female(帽子)", "HandBag(帽子)"} < set(chosen)
    assert found == person(probs[0])
    assert limits_of(glossed) == PERSONS


@pytest.mark.parametrize("name", TASKS)
def test_tasks_are_decision_layers_of_their_labels(name):
    task = TASKS[name]
    ModelConfig(Arch(0.25, num_classes=len(task.labels)), labels=Labels(task.labels), decision=task.decision())
    assert labels_of(task.process, {"label_list": list(task.labels)}) == task.labels
    assert (limits_of(task.labels) is not None) == (name == "person_attribute")


def test_published_thresholds():
    points = {name: task.point for name, task in TASKS.items() if task.point}
    assert points == {"person_exists": (0.9794, 1e-3), "car_exists": (0.9794, 1e-2), "safety_helmet": (0.9167, 1e-4)}


def test_labels_that_a_post_processing_names():
    assert labels_of("Topk", {"label_list": [0, 90]}) == ("0", "90")
    assert labels_of("ThreshOutput", {"threshold": 0.5, "label_0": "no", "label_1": "yes"}) == ("no", "yes")
    assert labels_of("VehicleAttribute", None) == VEHICLE
    assert labels_of("Topk", {"topk": 1}) is None


@pytest.mark.parametrize(
    ("name", "params", "labels", "match"),
    [
        ("TopK", {}, "ab", r"post-processing TopK is not known; did you mean 'Topk'\? \(known: Topk, ThreshOutput"),
        (5, {}, "ab", "post-processing 5 is not known"),
        ("Topk", ["topk"], "ab", r"Topk has the parameters \['topk'\], expected an object"),
        ("ScoreOutput", {}, "ab", "post-processing ScoreOutput is not known"),
        ("ThreshOutput", {}, "ab", "ThreshOutput has no threshold"),
        ("ThreshOutput", {"treshold": 0.5}, "ab", "unknown parameter treshold; did you mean 'threshold'"),
        ("ThreshOutput", {"threshold": 0.5}, "a", "default class 0, expected one of 1, of at least 2"),
        ("ThreshOutput", {"threshold": 0.5, "default_label_index": 3}, "abc", "default class 3, expected one of 3"),
        ("ThreshOutput", {"threshold": 0.5, "default_label_index": True}, "abc", "default class True"),
        ("ThreshOutput", {"threshold": 1.5}, "ab", "decision.thresholds is .*, expected numbers from 0 to 1"),
        ("ThreshOutput", {"threshold": "half"}, "ab", "decision.thresholds is"),
        ("ThreshOutput", {"threshold": "nan"}, "ab", "decision.thresholds is"),
        ("ThreshOutput", {"threshold": "9" * 5000}, "ab", "decision.thresholds is"),
        ("ThreshOutput", {"threshold": ["0.5", "0.5"]}, "ab", "decision.thresholds is"),
        ("ThreshOutput", {"threshold": float("nan")}, "ab", "decision.thresholds is"),
        ("MultiLabelThreshOutput", {"threshold": [0.5]}, "abc", "expected one for each of 3 classes"),
        ("MultiLabelThreshOutput", {"threshold": {"1": 0.5}}, "abc", "expected one for each of 3 classes"),
        ("MultiLabelThreshOutput", {"threshold": {"default": 0.5, "3": 0.5}}, "abc", "expected one for each of 3 classes"),
        ("MultiLabelThreshOutput", {"threshold": {"default": 0.5, "x": 0.5}}, "abc", "expected one for each of 3 classes"),
        ("PersonAttribute", {}, "abc", "PersonAttribute is for 26 classes, and the model has 3"),
        ("TableAttribute", {"color_threshold": None}, TABLE, "decision.thresholds is"),
        ("VehicleAttribute", {}, ["a"] * 19, "labels that are there once"),
    ],
)
def test_what_is_refused(name, params, labels, match):
    with pytest.raises(ModelFileError, match=match):
        decision_of(name, params, tuple(labels))
