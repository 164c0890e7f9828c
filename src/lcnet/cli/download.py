"""`lcnet download`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ..text import plain
from .options import say
from .streams import on_terminal


@click.command()
@click.argument("name")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="A folder to carry elsewhere.")
def download(name: str, to: Path | None) -> None:
    """Fetch a model's weights into the cache, or with --to into a folder that `--model local-dir:FOLDER` loads."""
    from .. import hub

    path = hub.download(name, to) if to else hub.locate(name).path
    if on_terminal(sys.stdout):
        say(plain(path))
    else:
        click.echo(os.fsencode(path))  # for a script, which wants the very bytes
