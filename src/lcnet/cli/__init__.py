"""The command line: arguments in, text out. One file a command, imported when it is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from .. import stop
from ..errors import LcnetError, RefusedError
from ..text import one_line, plain, reason, suggest
from .advice import advised
from .codes import FAILED, REFUSED, USAGE, Failure, Misuse

COMMANDS = (
    "classify",
    "embed",
    "features",
    "merge",
    "gallery",
    "duplicates",
    "upright",
    "undo",
    "train",
    "evaluate",
    "check-data",
    "pack",
    "recipes",
    "models",
    "info",
    "download",
    "convert",
    "export",
    "quantize",
    "bench",
    "serve",
)

_TRAINED = "train DATA --recipe finetune -m MODEL"
# What other programs call it, and the words that do it here.
ELSEWHERE = {
    **dict.fromkeys(("predict", "infer", "inference", "detect", "label", "tag", "run"), "classify"),
    **dict.fromkeys(("embedding", "embeddings", "encode"), "embed"),
    **dict.fromkeys(("feature", "extract"), "features"),
    **dict.fromkeys(("search", "similar", "find", "neighbors", "retrieve"), "gallery search"),
    **dict.fromkeys(("index", "galleries"), "gallery build"),
    **dict.fromkeys(("val", "validate", "validation", "test", "eval", "score"), "evaluate"),
    **dict.fromkeys(("finetune", "fine-tune", "fine_tune", "tune", "transfer"), _TRAINED),
    **dict.fromkeys(("fit", "training"), "train"),
    **dict.fromkeys(("check", "verify", "check_data", "lint"), "check-data"),
    **dict.fromkeys(("recipe", "configs"), "recipes"),
    **dict.fromkeys(("list", "ls", "zoo", "model"), "models"),
    **dict.fromkeys(("show", "describe", "summary", "inspect", "cpu"), "info"),
    **dict.fromkeys(("get", "fetch", "pull"), "download"),
    **dict.fromkeys(("import", "load"), "convert"),
    **dict.fromkeys(("onnx", "to-onnx"), "export"),
    **dict.fromkeys(("quantise", "quant", "int8"), "quantize"),
    **dict.fromkeys(("benchmark", "speed", "time"), "bench"),
    **dict.fromkeys(("shard", "shards", "tar"), "pack"),
    **dict.fromkeys(("join", "concat", "combine"), "merge"),
    **dict.fromkeys(("rotate", "turn", "orient", "orientation", "deskew"), "upright"),
    **dict.fromkeys(("dedupe", "dedup", "deduplicate", "duplicate", "dupes", "copies", "near-duplicates"), "duplicates"),
    **dict.fromkeys(("restore", "revert", "rollback"), "undo"),
    **dict.fromkeys(("server", "http", "api", "deploy", "web"), "serve"),
    "help": "--help",
    "version": "--version",
}
ABSENT = {"annotate": "lcnet takes labels that are there: a folder for each class, or a table"}


class Commands(click.Group):
    """Imports a command's module when the command is asked for, and turns errors into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command's module, which holds it under the command's name."""
        if name not in COMMANDS:
            return None
        module = name.replace("-", "_")
        return getattr(import_module(f".{module}", __package__), module)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, and say what a name from elsewhere is called here, and which a mistyped one may be."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"no such command {name!r}{_instead(name)}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete a command's name, whose module is not imported for it; options as click does."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name) for name in COMMANDS if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _told(), stop.raised():
            return super().invoke(ctx)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the options before the command's name."""
        with _told():
            return super().make_context(*args, **options)


def every_command() -> dict[str, click.Command]:
    """All commands by what is typed, those of a group one by one."""
    found: dict[str, click.Command] = {}
    top = click.Context(main, info_name="lcnet")
    for name in COMMANDS:
        command = main.get_command(top, name)
        assert command is not None
        inner = command.commands if isinstance(command, click.Group) else {}
        found.update({f"{name} {key}": each for key, each in inner.items()} or {name: command})
    return found


def _instead(name: str) -> str:
    """What to do about a command that is not there."""
    known = name.lower()
    if known in ABSENT:
        return f": {ABSENT[known]}"
    if known in ELSEWHERE:
        return f": here it is `lcnet {ELSEWHERE[known]}`"
    return suggest(known, COMMANDS) or ": `lcnet --help` lists all"


@contextmanager
def _told() -> Iterator[None]:
    """Make errors printable: they quote arguments, which may be names of files by other hands."""
    try:
        with _stopped():
            yield
    except LcnetError as error:
        raise Failure(one_line(advised(error)), _code(error)) from None
    except MemoryError:
        raise Failure("there is not enough memory: try fewer --threads, or smaller pictures or inputs") from None
    except BrokenPipeError:
        raise
    except OSError as error:  # a disk that is full, a file that is gone meanwhile: nobody's mistake, and no bug
        name = f"{plain(error.filename)}: " if error.filename else ""
        raise Failure(one_line(f"{name}{reason(error)}")) from None
    except click.ClickException as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # whose message is our own help; older clicks have no such error
            error.message = one_line(error.message)  # type: ignore[misc]  # final for click, which has no other place
        raise


def _code(error: LcnetError) -> int:
    if isinstance(error, RefusedError):
        return REFUSED
    return USAGE if isinstance(error, Misuse) else FAILED


@contextmanager
def _stopped() -> Iterator[None]:
    """End a command by Ctrl-C or SIGTERM in one line, unless it has found its own words."""
    try:
        yield
    except click.exceptions.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        caught = error if isinstance(error, KeyboardInterrupt) else stop.asked()
        if caught is None:
            raise
        click.echo("lcnet: stopped", err=True)
        raise click.exceptions.Exit(stop.code(caught)) from None


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        click.echo(f"lcnet {version('lcnet')}")
        ctx.exit()


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version.")
def main() -> None:
    """Classify pictures, get features and embeddings, fast on ordinary CPUs."""
