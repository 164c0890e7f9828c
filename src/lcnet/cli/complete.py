"""Values that a shell completes. Nothing here asks a network or loads a model: a shell waits for it at every Tab."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Named(click.ParamType):
    """A name that is known, or a file."""

    name = "text"

    def names(self) -> Iterable[str]:
        """The names that are known."""
        raise NotImplementedError

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so; where none does, the shell looks for files."""
        from click.shell_completion import CompletionItem

        names = sorted({name for name in self.names() if name.startswith(incomplete)})
        return [*map(CompletionItem, names), CompletionItem(incomplete, type="file")]


class ModelName(Named):
    """A model of `lcnet models`, or a file."""

    def names(self) -> Iterable[str]:
        """Architectures, all their weights, and the short names of some."""
        from .. import zoo

        return [*zoo.list_models(), *(name for entry in zoo.search() for name in (entry.name, *entry.aliases))]


class RecipeName(Named):
    """A recipe of `lcnet recipes`, or a file."""

    def names(self) -> Iterable[str]:
        """The published recipes and our own."""
        from ..train.recipes import RECIPES

        return RECIPES
