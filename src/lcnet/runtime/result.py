"""What is answered for one picture: classes with their probabilities, and which of them the decision layer accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..formats import nine
from .decision import UNKNOWN, Answer


class Prediction(NamedTuple):
    """One class of one image."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks a prediction for
    label: str
    id: str | None  # WordNet id for ImageNet, None where the model has none
    probability: float  # 0 to 1


@dataclass(frozen=True)
class Result:
    """The most probable classes of one image, best first, and those that the model's decision layer accepts.

    `accepted` is the best class if its probability reaches its threshold, else the model's default or nothing; of a multi-label
    model every class that reaches its threshold, and those that its groups take, also beyond `top`. `answered` has a name and
    an answer for each group.
    """

    top: tuple[Prediction, ...]
    accepted: tuple[Prediction, ...]
    answered: tuple[tuple[str, Answer], ...] = ()

    @property
    def answers(self) -> dict[str, Answer]:
        """The answer of each group by its name: a text or None, or of a group that takes each a tuple of texts."""
        return dict(self.answered)

    @property
    def known(self) -> bool:
        """Whether any class is accepted, or any group has an answer."""
        return bool(self.accepted) or any(answer for _, answer in self.answered)

    @property
    def label(self) -> str:
        """Name of the best accepted class; without one the first answer of the groups, or `unknown`."""
        if self.accepted:
            return self.accepted[0].label
        first = next((answer for _, answer in self.answered if answer), UNKNOWN)
        return first if isinstance(first, str) else first[0]

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
        0 to 1 in nine digits, which are the same float32; `answers` too, if the model has groups. `lcnet classify -f json`
        prints this of every picture, beside its name, and `lcnet serve` answers it.
        """
        answers = {"answers": self.answers} if self.answered else {}
        top = [{**p._asdict(), "probability": nine(p.probability)} for p in self.top]
        return {"known": self.known, "labels": list(self.labels), **answers, "top": top}
