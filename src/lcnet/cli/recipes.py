"""`lcnet recipes`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ..train.recipe import Size, sides
from .complete import RecipeName
from .options import columns, json_text, say

if TYPE_CHECKING:
    from ..train.recipes import Published


@click.command()
@click.argument("name", required=False, type=RecipeName())
@click.option("--format", "-f", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def recipes(name: str | None, style: str) -> None:
    """List the training recipes, or print all keys of the one called NAME and where they come from."""
    from ..train.recipes import RECIPES, unknown

    if name is not None and name not in RECIPES:
        raise unknown(name)
    if style == "json":
        rows = [{"name": key, **published.to_json()} for key, published in RECIPES.items() if name in (None, key)]
        click.echo(json_text(rows[0] if name else rows))
    else:
        say(page(name, RECIPES[name]) if name else table(RECIPES))


def table(known: dict[str, Published]) -> str:
    """One line a recipe."""
    head = ["recipe", "epochs", "batch", "size", "optimizer", "lr", "loss", "for"]
    lines = []
    for name, published in known.items():
        r = published.recipe
        numbers = [str(r.epochs), str(r.batch_size), _size(r.input_size), r.optimizer, f"{r.lr:g}", r.loss]
        lines.append([name, *numbers, published.about])
    hint = "`lcnet recipes NAME` prints all keys, where they come from, and which are inferred."
    return f"{columns([head, *lines], right=(1, 2, 3))}\n\n{hint}"


def _size(size: Size) -> str:
    return "x".join(map(str, sides(size))) if isinstance(size, tuple) else str(size or "own")


def page(name: str, published: Published) -> str:
    """All keys of one recipe; what its source does not give is marked."""
    rows = [
        [key, text(value), "inferred" if key in published.inferred else ""] for key, value in published.recipe.to_json().items()
    ]
    return f"{name}: {published.about}\n\n{columns(rows)}\n\nSource: {published.source}."


def text(value: object) -> str:
    """Format a value as it is written behind `key=`."""
    if isinstance(value, str) and value:
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)
