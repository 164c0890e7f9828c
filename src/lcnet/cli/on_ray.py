"""--ray of `classify`, `embed` and `features`: the same pictures and model, on a cluster or a Ray of this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import click

from ..sources import find, find_listed
from ..sources.passed import Passed, counted
from ..stop import code
from ..text import plain
from .codes import INCOMPLETE, Misuse
from .options import say
from .streams import on_terminal

F = TypeVar("F", bound=Callable[..., Any])


def ray_options(command: F) -> F:
    """Add --ray and --ray-address."""
    text = "Of a Ray cluster to run on, such as auto or ray://HOST:10001."
    command = click.option("--ray-address", metavar="ADDRESS", help=text)(command)
    text = "Run on Ray, which is started here without --ray-address; --output is a folder of Parquet files."
    return click.option("--ray", is_flag=True, help=text)(command)


def wanted(given: dict[str, Any]) -> bool:
    """Whether a command is to run on Ray."""
    return bool(given["ray"] or given["ray_address"])


def run(ctx: click.Context, kind: str, **asked: Any) -> None:
    """Run a command on Ray. asked: the options of `kind`, as `lcnet.cluster.run` takes them."""
    from .. import cluster
    from .bulk import listed

    given, passed = ctx.params, Passed()
    _check(given)
    found = find(list(given["images"]), given["recursive"], passed=passed) if given["images"] else ()
    if given["files_from"] is not None:
        found = chain(found, find_listed(listed(given["files_from"]), given["recursive"], passed=passed))
    engine = {name: given[name] for name in ("isa", "precision", "decode", "max_pixels", "resume", "overwrite")}
    output = Path(given["output"])
    try:
        options = {"address": given["ray_address"], "actors": given["threads"], "progress": on_terminal(sys.stderr)}
        done = cluster.run(cluster.Sources(found), given["model"], output, kind, **asked, **engine, **options)
    except KeyboardInterrupt as stopped:
        say(f"lcnet: stopped; {plain(output)} holds what was done, and the same command with --resume goes on", err=True)
        ctx.exit(code(stopped))
    say(f"{plain(output)}: {counted(done.rows - done.failed, 'image')}")
    if untaken := passed.text():
        say(f"lcnet: {untaken}", err=True)
    if done.failed:
        say(f"lcnet: {done.failed} of {done.rows} images could not be read", err=True)
        ctx.exit(INCOMPLETE)


def _check(given: dict[str, Any]) -> None:
    """What does not go with --ray. Raises `InputError`."""
    from ..results.outputs import FORMATS
    from ..sources import is_archive

    if not given["images"] and given["files_from"] is None:
        raise Misuse("name IMAGES (files, folders, patterns), or a list of them with --files-from")
    output = given["output"]
    if output is None or str(output) == "-" or output.suffix.lower() in FORMATS:
        raise Misuse("--ray writes a folder of Parquet files: name it with --output, such as answers/")
    names = ("shard", "update", "prune", "style", "wide", "csv_safe", "timing")
    if wrong := next((name for name in names if given.get(name)), None):
        option = {"style": "format"}.get(wrong, wrong.replace("_", "-"))
        raise Misuse(f"--{option} does not go with --ray, which writes Parquet: leave one of them out")
    if given["frames"] != "first":
        raise Misuse("--ray takes one frame of a file: leave --frames out")
    if "-" in given["images"]:
        raise Misuse("- is this machine's standard input, which no other has: name files")
    if archive := next((image for image in given["images"] if is_archive(image)), None):
        raise Misuse(f"{plain(archive)}: archives are not sent to other machines: extract it, or run a shard on each")
