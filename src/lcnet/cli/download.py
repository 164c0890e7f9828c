"""`lcnet download`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="A folder to carry elsewhere.")
def download(name: str, to: Path | None) -> None:
    """Fetch a model's weights into the cache, or with --to into a folder that `--model local-dir:FOLDER` loads."""
    from .. import hub

    click.echo(hub.download(name, to) if to else hub.locate(name).path)
