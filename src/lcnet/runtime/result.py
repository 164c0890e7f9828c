"""What is answered for one picture: classes with their probabilities, and which of them the decision layer accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .decision import UNKNOWN


class Prediction(NamedTuple):
    """One class of one image."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks a prediction for
    label: str
    id: str | None  # WordNet id for ImageNet, None where the model has none
    probability: float  # 0 to 1


@dataclass(frozen=True)
class Result:
    """The most probable classes of one image, best first, and those that the model's decision layer accepts.

    `accepted` is the best class, or nothing if its probability is below its threshold; a multi-label model accepts every
    class that reaches its threshold, also beyond `top`.
    """

    top: tuple[Prediction, ...]
    accepted: tuple[Prediction, ...]

    @property
    def known(self) -> bool:
        """Whether any class is accepted."""
        return bool(self.accepted)

    @property
    def label(self) -> str:
        """Name of the best accepted class, or `unknown`."""
        return self.accepted[0].label if self.accepted else UNKNOWN

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all accepted classes, most probable first."""
        return tuple(p.label for p in self.accepted)

    @property
    def probability(self) -> float:
        """Probability of the best class, 0 to 1, accepted or not."""
        return self.top[0].probability

    def to_dict(self) -> dict[str, Any]:
        """What becomes JSON wherever a result does: whether it is `known`, the accepted `labels`, and the `top` classes.

        Each of `top` is a dict of `index` (of the logit), `label`, `id` (None where the model has none) and `probability`,
        0 to 1. `lcnet classify -f json` prints this of every picture, beside its name.
        """
        return {"known": self.known, "labels": list(self.labels), "top": [p._asdict() for p in self.top]}
