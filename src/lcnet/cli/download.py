"""`lcnet download`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ..text import plain
from .either import model_place, renamed_option
from .options import say
from .streams import on_terminal

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@model_place()
@click.option("--output", "-o", type=FOLDER, help="A folder to write them to, and to carry elsewhere.")
@renamed_option("--to", "--output", type=FOLDER)
def download(model: str, output: Path | None) -> None:
    """Fetch a model's weights into the cache, or into the folder --output, which `--model local-dir:FOLDER` loads."""
    from .. import hub

    path = hub.download(model, output) if output else hub.locate(model).path
    if on_terminal(sys.stdout):
        say(plain(path))
    else:
        click.echo(os.fsencode(path))  # for a script, which wants the very bytes
