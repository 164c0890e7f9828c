"""What may be named by an option or by its place on the line, and options whose spelling has changed.

`lcnet evaluate MODEL DATA` and `lcnet evaluate DATA -m MODEL` are the same. A command gets the one value under the option's
name; to name it both ways, or neither, is a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from .complete import ModelName
from .options import MODEL_HELP, say

F = TypeVar("F", bound=Callable[..., Any])
Given = Mapping[str, Any]  # what click's parser has found on the line, by name, before it is converted
_PLACE = "_place"


def either(*names: str, metavar: str, must: bool = True, several: bool = False, **options: Any) -> Callable[[F], F]:
    """Add the option of these names, and a place on the line that says the same. must: one of the two has to be there."""

    def add(command: F) -> F:
        option = click.option(*names, cls=Either, metavar=metavar, must=must, multiple=several, **options)
        name = next(name for name in names if name.startswith("--"))[2:].replace("-", "_")
        shown = f"[{metavar}]" + "..." * several
        place = click.argument(
            name + _PLACE,
            cls=Place,
            required=False,
            nargs=-1 if several else 1,
            metavar=shown,
            expose_value=False,
            type=options.get("type"),
        )
        return place(option(command))

    return add


def model_place(must: bool = True) -> Callable[[F], F]:
    """Add MODEL and --model, -m."""
    return either("--model", "-m", metavar="MODEL", must=must, type=ModelName(), help=MODEL_HELP)


def output_place(text: str, dir_okay: bool = False) -> Callable[[F], F]:
    """Add OUTPUT and --output, -o: what is written. text: its help."""
    kind = click.Path(path_type=Path, dir_okay=dir_okay)
    return either("--output", "-o", metavar="OUTPUT", type=kind, help=text)


class Either(click.Option):
    """The option. It is read before all places are: where it is on the line, what stands in them moves on by one."""

    def __init__(self, *args: Any, must: bool = True, **options: Any) -> None:
        super().__init__(*args, is_eager=True, **options)
        self.must = must

    @property
    def place(self) -> str:
        """The name of the place that says the same."""
        return f"{self.name}{_PLACE}"

    def consume_value(self, ctx: click.Context, opts: Given) -> tuple[Any, ParameterSource]:
        """Take the value from the line, wherever it stands there."""
        values = cast(dict[str, Any], opts)
        if _given(values, str(self.name)):
            self._move_on(ctx, values)
        elif _given(values, self.place):
            values[str(self.name)] = values.pop(self.place)
        elif self.must and not ctx.resilient_parsing:
            raise click.UsageError(f"Missing {self.metavar}: name it in its place, or by {' or '.join(self.opts)}.", ctx)
        return super().consume_value(ctx, opts)

    def _move_on(self, ctx: click.Context, values: dict[str, Any]) -> None:
        names = [str(p.name) for p in ctx.command.params if isinstance(p, click.Argument)]
        names = names[names.index(self.place) :]
        if _given(values, names[-1]) and not ctx.resilient_parsing:
            raise twice(self, ctx)
        found = [values.get(name) for name in names]
        values.update(zip(names, [found[-1], *found[:-1]], strict=True))


class Place(click.Argument):
    """The place. It gives the command nothing: the option of its name does."""

    def consume_value(self, ctx: click.Context, opts: Given) -> tuple[Any, ParameterSource]:
        """Say whether it is taken, for the completion; what still stands here stands beside the option."""
        name = str(self.name).removesuffix(_PLACE)
        option = next(p for p in ctx.command.params if p.name == name)
        if _given(opts, str(self.name)) and not ctx.resilient_parsing:
            raise twice(option, ctx)
        return None, ParameterSource.COMMANDLINE if _given(opts, name) else ParameterSource.DEFAULT


def twice(option: click.Parameter, ctx: click.Context) -> click.UsageError:
    """What is raised for a value that is named in its place and by its option."""
    return click.UsageError(f"{option.metavar} is named twice: in its place, and by {' or '.join(option.opts)}.", ctx)


def renamed_option(old: str, new: str, **options: Any) -> Callable[[Any], Any]:
    """Take the option `old` for the one called `new` (--new), and warn; it goes with the next minor release.

    options: as of the new one; `multiple` too, where that may be repeated.
    """
    name = f"old_{old.strip('-').replace('-', '_')}"
    about = {"hidden": True, "help": f"The old name of {new}."}
    return click.option(old, name, cls=Renamed, new=new, expose_value=False, is_eager=True, **about, **options)


class Renamed(click.Option):
    """An old spelling."""

    def __init__(self, *args: Any, new: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.new = new

    def consume_value(self, ctx: click.Context, opts: Given) -> tuple[Any, ParameterSource]:
        """Hand the value on to the new spelling, which is read after this one."""
        values = cast(dict[str, Any], opts)
        if _given(values, str(self.name)):
            value, new = values.pop(str(self.name)), self.new.strip("-").replace("-", "_")
            if not ctx.resilient_parsing:
                say(f"lcnet: {self.opts[0]} is called {self.new}; the old name goes with the next minor release", err=True)
            target = next(p for p in ctx.command.params if p.name == new)
            if getattr(target, "multiple", False):
                value = [*(values[new] if _given(values, new) else []), *value]
            values[new] = value
        return None, ParameterSource.DEFAULT


def _given(values: Given, name: str) -> bool:
    """Whether the line has a value: click has had several marks for one that is not there."""
    value = values.get(name)
    return value is True or isinstance(value, str) or (isinstance(value, (list, tuple)) and len(value) > 0)
