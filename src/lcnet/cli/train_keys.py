"""A recipe's keys on the command line of `lcnet train`: as --set, as options of their own, and as options there are none of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import click

from ..train.recipe import Recipe, parse_settings
from .codes import Misuse

SHORTCUTS = ("epochs", "batch_size", "lr", "input_size")
KEYS = tuple(field.name for field in fields(Recipe))


def changes(settings: Sequence[str], shortcuts: dict[str, Any]) -> dict[str, Any]:
    """The keys that --set and the options for keys give. Raises `InputError`, and `Misuse` for a key that both give."""
    values = parse_settings(settings)
    for key, value in shortcuts.items():
        if value is None:
            continue
        if key in values:
            raise Misuse(f"--{key.replace('_', '-')} and --set {key}=... are the same: give one of them")
        values[key] = value
    return values


class TrainCommand(click.Command):
    """Says of a recipe's key that was written as an option how to set it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = _hint(error.option_name, given, [option for param in self.params for option in param.opts])
            if not hint:
                raise
            raise click.UsageError(f"No such option: {error.option_name}{hint}", ctx) from None


def _hint(option: str, given: list[str], options: list[str]) -> str:
    key = option.lstrip("-").replace("-", "_")
    if key in KEYS:
        return f"; it is a key of the recipe: --set {key}={_value(option, given)}"
    near = get_close_matches(key, [*KEYS, *(name.lstrip("-").replace("-", "_") for name in options)], n=1)
    if not near or f"--{near[0].replace('_', '-')}" in options:
        return ""
    return f"; did you mean the recipe's key {near[0]!r}? Say --set {near[0]}={_value(option, given)}"


def _value(option: str, given: list[str]) -> str:
    """What stands behind an option."""
    for place, word in enumerate(given):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and given[place + 1 :] and not given[place + 1].startswith("--"):
            return given[place + 1]
    return "VALUE"
