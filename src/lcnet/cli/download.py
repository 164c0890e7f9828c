"""`lcnet download`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ..text import one_line, plain
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
    from .. import hub, modelfile

    found = hub.locate(model)
    if found.converted:
        for line in weights_lines(modelfile.read_config(found.path).provenance):
            say(line, err=True)
    path = hub.download(model, output) if output else found.path
    if on_terminal(sys.stdout):
        say(plain(path))
    else:
        click.echo(os.fsencode(path))  # for a script, which wants the very bytes


def weights_lines(provenance: Mapping[str, Any]) -> Iterator[str]:
    """The files that a converted model came from, by their hashes, and the release that they are."""
    from .. import zoo

    for file, sha256 in {provenance["file"]: provenance["sha256"], **provenance.get("files", {})}.items():
        yield f"{one_line(file)}  sha256 {sha256}"
    yield f"release: {zoo.release(provenance)}"
