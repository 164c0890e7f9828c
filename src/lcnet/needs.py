"""What a reader must know to run a model: the parts of a description that came after the first version of the file.

A file lists the needs of its model, by name, with the release that brought each, and has their fields only then. So a file
without needs is one of version 1, and a reader from before a need refuses it by its name instead of running another network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import ModelFileError
from .text import quoted, short

MOST = 64  # that a file may list


class Need(NamedTuple):
    """The release of lcnet that brought it, and the fields of the description that are there where it is listed."""

    release: str
    fields: tuple[str, ...]


# A model has a need if any of these fields is other than usual. A new field of the description is a new row here.
NEEDS = {
    "strides": Need("0.1.0", ("architecture.stem_stride", "architecture.stage_strides")),
    "head": Need("0.1.0", ("architecture.head_channels",)),
    "activation": Need("0.1.0", ("architecture.activation",)),
    "hard_sigmoid": Need("0.1.0", ("architecture.hard_sigmoid_slope",)),
    "classifier_input": Need("0.1.0", ("architecture.classifier_input",)),
    "family": Need("0.1.0", ("architecture.depths",)),  # another than `lcnet`, and how deep it is
    "gate": Need("0.1.0", ("architecture.gate",)),
    "head_bias": Need("0.1.0", ("architecture.head_bias",)),
    "head_activation": Need("0.1.0", ("architecture.head_activation",)),
    "resize": Need("0.1.0", ("preprocessing.resize",)),
    "alpha": Need("0.1.0", ("preprocessing.alpha",)),
    "channel_order": Need("0.1.0", ("preprocessing.channel_order",)),
    "default": Need("0.1.0", ("decision.default",)),
    "groups": Need("0.1.0", ("decision.groups",)),
    "turns": Need("0.1.0", ("decision.turns_temperature",)),
}
_NEED_OF = {field: name for name, need in NEEDS.items() for field in need.fields}


def fields_of(part: str) -> tuple[str, ...]:
    """The keys that `architecture`, say, has only where a need is listed."""
    return tuple(field.partition(".")[2] for field in _NEED_OF if field.startswith(f"{part}."))


def needs_of(description: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, str]:
    """The needs of a full description, each with its release; `usual`: the full description of a usual model."""
    other = {field for field in _NEED_OF if _at(description, field) != _at(usual, field)}
    return {name: need.release for name, need in NEEDS.items() if other & set(need.fields)}


def without_unneeded(description: Mapping[str, Any], needs: Mapping[str, str]) -> dict[str, Any]:
    """A full description without the fields of needs that are not listed."""
    absent = {field for field, need in _NEED_OF.items() if need not in needs}
    return {
        part: {k: v for k, v in value.items() if f"{part}.{k}" not in absent} if isinstance(value, dict) else value
        for part, value in description.items()
    }


def check_needs(data: Mapping[str, Any]) -> None:
    """Raise `ModelFileError` for needs that are not known here, and for fields whose need is not listed."""
    needs = data.get("needs", {})
    if not isinstance(needs, dict) or len(needs) > MOST or not all(isinstance(r, str) for r in needs.values()):
        found = short(repr(needs))
        raise ModelFileError(
            f"needs is {found}, expected an object from at most {MOST} names to the releases that brought them"
        )
    for name, release in needs.items():
        if name not in NEEDS:
            text = f"the model needs '{quoted(name)}', which this lcnet does not know: lcnet {quoted(release)} brings it"
            raise ModelFileError(text)
    for field, need in _NEED_OF.items():
        part = data.get(field.partition(".")[0])
        if need not in needs and isinstance(part, dict) and field.partition(".")[2] in part:
            raise ModelFileError(f"{field} is there, but '{need}' is not among the needs, as it must be")


def _at(description: Mapping[str, Any], field: str) -> Any:
    part, _, key = field.partition(".")
    return description[part][key]
