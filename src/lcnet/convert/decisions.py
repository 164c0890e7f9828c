"""How Paddle's models are asked: the post-processing that their files name, as decision layers, and the PULC tasks as data.

The rules are PaddleClas's (deploy/python/postprocess.py), but for what is wrong in them: the last two attributes of a table
have their own thresholds here, and a probability that equals its threshold reaches it everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..config import Decision
from ..errors import ModelFileError
from ..groups import BEST, EACH, Group
from ..text import quoted, short, suggest

Params = Mapping[str, Any]

PERSON = (
    "Hat Glasses ShortSleeve LongSleeve UpperStride UpperLogo UpperPlaid UpperSplice LowerStripe LowerPattern LongCoat"
    " Trousers Shorts Skirt&Dress Boots HandBag ShoulderBag Backpack HoldObjectsInFront AgeLess18 Age18-60 AgeOver60"
    " Female Front Side Back"
)
COLORS = "yellow orange green gray red blue white golden brown black"
TYPES = "sedan suv van hatchback mpv pickup bus truck estate"
TABLE = "Scanned Little Black-and-White Clear Without-Obstacles Horizontal"


class Asked(NamedTuple):
    """A group of an attribute model, and the parameter that is the threshold of its labels."""

    group: Group
    threshold: str | None = None


class Attributes(NamedTuple):
    """The labels of an attribute model, in the order of its outputs, its parameters with their usual values, its groups."""

    labels: tuple[str, ...]
    usual: Mapping[str, float]
    asked: tuple[Asked, ...]


def _one(name: str, label: str, otherwise: str, threshold: str, answer: str | None = None) -> Asked:
    return Asked(Group(name, (label,), otherwise=otherwise, names=(answer,) if answer else None), threshold)


def _of(name: str, labels: str, take: str = BEST, threshold: str | None = None, **given: Any) -> Asked:
    return Asked(Group(name, tuple(labels.split()), take, **given), threshold)


ATTRIBUTES = {
    "PersonAttribute": Attributes(
        tuple(PERSON.split()),
        {"threshold": 0.5, "glasses_threshold": 0.3, "hold_threshold": 0.6},
        (
            _one("gender", "Female", "Male", "threshold"),
            _of("age", "AgeLess18 Age18-60 AgeOver60", at_least_one=True),
            _of("direction", "Front Side Back", at_least_one=True),
            _one("glasses", "Glasses", "no", "glasses_threshold", "yes"),
            _one("hat", "Hat", "no", "threshold", "yes"),
            _one("holds_objects", "HoldObjectsInFront", "no", "hold_threshold", "yes"),
            _of("bag", "HandBag ShoulderBag Backpack", BEST, "threshold", otherwise="No bag"),
            _of("sleeve", "ShortSleeve LongSleeve", at_least_one=True),
            _of("upper", "UpperStride UpperLogo UpperPlaid UpperSplice", EACH, "threshold"),
            _of("lower", "LowerStripe LowerPattern LongCoat Trousers Shorts Skirt&Dress", EACH, "threshold", at_least_one=True),
            _one("shoes", "Boots", "No boots", "threshold"),
        ),
    ),
    "VehicleAttribute": Attributes(
        tuple(f"{COLORS} {TYPES}".split()),
        {"color_threshold": 0.5, "type_threshold": 0.5},
        (
            _of("color", COLORS, BEST, "color_threshold", otherwise="Color unknown"),
            _of("type", TYPES, BEST, "type_threshold", otherwise="Type unknown"),
        ),
    ),
    "TableAttribute": Attributes(
        tuple(TABLE.split()),
        dict.fromkeys((f"{name}_threshold" for name in "source number color clarity obstruction angle".split()), 0.5),
        (
            _one("source", "Scanned", "Photo", "source_threshold"),
            _one("number", "Little", "Numerous", "number_threshold"),
            _one("color", "Black-and-White", "Multicolor", "color_threshold"),
            _one("clarity", "Clear", "Blurry", "clarity_threshold"),
            _one("obstruction", "Without-Obstacles", "With-Obstacles", "obstruction_threshold"),
            _one("angle", "Horizontal", "Tilted", "angle_threshold"),
        ),
    ),
}


class Task(NamedTuple):
    """A PULC model: its post-processing, its labels, and another threshold with its published rate of false positives."""

    process: str
    params: Params
    labels: tuple[str, ...]
    point: tuple[float, float] | None = None  # on the validation pictures of those who trained it

    def decision(self, labels: Sequence[str] | None = None) -> Decision:
        """The decision layer for labels that are called like this, by default as the task has them."""
        return decision_of(self.process, self.params, self.labels if labels is None else labels)


def _exists(labels: str, point: tuple[float, float] | None = None) -> Task:
    return Task("ThreshOutput", {"threshold": 0.5}, tuple(labels.split()), point)


TASKS = {
    "person_exists": _exists("nobody someone", (0.9794, 1e-3)),
    "car_exists": _exists("no_car contains_car", (0.9794, 1e-2)),
    "safety_helmet": _exists("wearing_helmet unwearing_helmet", (0.9167, 1e-4)),
    "code_exists": _exists("no_code contains_code"),
    "clarity_assessment": _exists("clear blur"),
    "text_image_orientation": Task("Topk", {"topk": 2}, ("0", "90", "180", "270")),
    "image_orientation": Task("Topk", {"topk": 1}, ("0°", "90°", "180°", "270°")),
    "textline_orientation": Task("Topk", {"topk": 1}, ("0_degree", "180_degree")),
    "language_classification": Task(
        "Topk", {"topk": 2}, tuple("arabic chinese_cht cyrillic devanagari japan ka korean ta te latin".split())
    ),
    **{
        f"{name}_attribute": Task(f"{name.title()}Attribute", {}, ATTRIBUTES[f"{name.title()}Attribute"].labels)
        for name in ("person", "vehicle", "table")
    },
}


def decision_of(name: str, params: Params | None, labels: Sequence[str]) -> Decision:
    """The decision layer of a post-processing of PaddleClas or PaddleX, such as `ThreshOutput`, for these labels.

    params: of the same entry of the file, numbers also as text; those that say how answers are shown or where labels are do
    not matter here. Raises `ModelFileError` for a post-processing or a parameter that is not known, and where the labels
    are not those it is for.
    """
    if name not in PROCESSES:
        known = ", ".join(PROCESSES)
        hint = suggest(str(name), tuple(PROCESSES))
        raise ModelFileError(f"the post-processing {quoted(name)} is not known{hint} (known: {known})")
    process, given = PROCESSES[name], {} if params is None else params
    if not isinstance(given, Mapping):
        raise ModelFileError(f"{name} has the parameters {short(repr(given))}, expected an object")
    expected = (*process.params, *SHOWN)
    for key in given:
        if key not in expected:
            raise ModelFileError(f"{name} has an unknown parameter {quoted(key)}{suggest(str(key), expected)}")
    return process.decide(name, {key: _number(given[key]) for key in process.params if key in given}, tuple(labels))


def labels_of(name: str, params: Params | None) -> tuple[str, ...] | None:
    """The labels that a post-processing names, or that it is for; None if it leaves them open."""
    given = params or {}
    if isinstance(found := given.get("label_list"), (list, tuple)):
        return tuple(map(str, found))
    if "label_0" in given and "label_1" in given:
        return str(given["label_0"]), str(given["label_1"])
    return ATTRIBUTES[name].labels if name in ATTRIBUTES else None


def _number(value: Any) -> Any:
    """What a text says that is a number, and of lists and objects each; anything else as it is, to be refused by its use."""
    if isinstance(value, (list, tuple)):
        return [_number(one) for one in value]
    if isinstance(value, dict):
        return {key: _number(one) for key, one in value.items()}
    try:
        return (int(value) if value.isdecimal() else float(value)) if isinstance(value, str) else value
    except ValueError:
        return value


def _topk(name: str, params: Params, labels: tuple[str, ...]) -> Decision:
    return Decision()


def _thresh(name: str, params: Params, labels: tuple[str, ...]) -> Decision:
    """Of two classes the second from its threshold on; of more the best if it reaches the threshold; else the default."""
    place = 0 if len(labels) == 2 else params.get("default_label_index", 0)
    if type(place) is not int or not 0 <= place < len(labels) or len(labels) < 2:
        raise ModelFileError(f"{name} has the default class {short(repr(place))}, expected one of {len(labels)}, of at least 2")
    if "threshold" not in params:
        raise ModelFileError(f"{name} has no threshold, expected a number from 0 to 1")
    default = labels[place]
    return Decision(thresholds={label: params["threshold"] for label in labels if label != default}, default=default)


def _multi(name: str, params: Params, labels: tuple[str, ...]) -> Decision:
    """A threshold for all, a list of one for each, or an object with a `default` and others by the number of the class."""
    given = params.get("threshold", 0.5)
    if isinstance(given, (list, tuple)):
        values = list(given)
    elif isinstance(given, dict):
        numbers = {str(i): given.get("default") for i in range(len(labels))}
        others = {str(key): value for key, value in given.items() if key != "default"}
        values = list((numbers | others).values())
    else:
        values = [given] * len(labels)
    if len(values) != len(labels) or None in values:
        raise ModelFileError(f"{name} has the thresholds {short(repr(given))}, expected one for each of {len(labels)} classes")
    return Decision(thresholds=dict(zip(labels, values, strict=True)), multi_label=True)


def _attributes(name: str, params: Params, labels: tuple[str, ...]) -> Decision:
    """The groups of an attribute model, whose labels may be called otherwise; its answers are not."""
    usual, values, asked = ATTRIBUTES[name].labels, {**ATTRIBUTES[name].usual, **params}, ATTRIBUTES[name].asked
    if len(labels) != len(usual):
        raise ModelFileError(f"{name} is for {len(usual)} classes, and the model has {len(labels)}")
    called = dict(zip(usual, labels, strict=True))
    thresholds = {called[label]: values[a.threshold] for a in asked if a.threshold for label in a.group.labels}
    return Decision(None, thresholds, True, groups=tuple(_renamed(a.group, called) for a in asked))


def _renamed(group: Group, called: Mapping[str, str]) -> Group:
    labels = tuple(called[label] for label in group.labels)
    return replace(group, labels=labels, names=group.names or (None if labels == group.labels else group.labels))


class Process(NamedTuple):
    """How a post-processing becomes a decision layer, and the parameters that say something about it."""

    decide: Callable[[str, Params, tuple[str, ...]], Decision]
    params: tuple[str, ...]


# Parameters that say how answers are shown, where the labels are, or which entry it is.
SHOWN = ("name", "main_indicator", "topk", "label_list", "class_id_map_file", "delimiter", "label_0", "label_1")
PROCESSES = {
    "Topk": Process(_topk, ()),
    "ThreshOutput": Process(_thresh, ("threshold", "default_label_index")),
    "MultiLabelThreshOutput": Process(_multi, ("threshold",)),
    **{name: Process(_attributes, tuple(attributes.usual)) for name, attributes in ATTRIBUTES.items()},
}
