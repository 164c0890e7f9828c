"""What models with some labels are meant for and what not: known by the labels, so that no step on their way can lose it."""

from __future__ import annotations

from collections.abc import Iterable

PERSONS = (
    "sex, age and clothes are guesses from how somebody looks, as one set of pictures was labelled, and wrong for many people; "
    "meant for counts over many pictures and for finding pictures, not for decisions about a person, not for telling who "
    "somebody is, not where the law forbids to sort people; measure it on your own pictures first"
)


def limits_of(labels: Iterable[str]) -> str | None:
    """The limits of a model with these labels if they are attributes of persons, as Paddle calls them; else None."""
    return PERSONS if {"Female", "AgeLess18", "AgeOver60"} <= set(map(_bare, labels)) else None


def _bare(label: str) -> str:
    """Without the Chinese name that PaddleX's label lists have in brackets."""
    return label.partition("(")[0].strip()
