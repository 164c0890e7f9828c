"""`lcnet undo`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from ..stop import code
from ..text import plain
from .codes import DONE, INCOMPLETE
from .listing import STYLES, Listing
from .options import csv_safe_option, rows_option, say


@click.command()
@click.argument("report", type=click.Path(path_type=Path))
@click.option("--forget", is_flag=True, help="Delete the originals that are kept instead: nothing can be taken back then.")
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would be done.")
@rows_option(*STYLES)
@csv_safe_option
@click.pass_context
def undo(ctx: click.Context, report: Path, forget: bool, dry_run: bool, style: str | None, csv_safe: bool) -> None:
    """Take back what a job has changed, by the REPORT that it has written.

    A file that has changed since is left alone and named. May be run again, and after a run that was stopped.
    """
    from ..changes import undo as changes

    listing = Listing(style or "table", changes.Outcome._fields, _line, csv_safe)
    counts: Counter[str] = Counter()
    try:
        for outcome in (changes.forget if forget else changes.undo)(report, dry_run):
            counts[outcome.action] += 1
            listing.row(outcome._asdict() | {"path": _shown(outcome.path)})
    except KeyboardInterrupt as stopped:
        listing.end()
        say(f"lcnet: stopped after {counts.total():,} changes; the same command goes on", err=True)
        ctx.exit(code(stopped))
    listing.end()
    would = "would be: " if dry_run else ""
    say(f"lcnet: {would}{', '.join(f'{n:,} {word}' for word, n in counts.items()) or 'nothing to do'}", err=True)
    ctx.exit(INCOMPLETE if counts[changes.REFUSED] else DONE)


def _shown(path: str) -> str:
    from ..text import shown

    return shown(path)


def _line(row: dict[str, Any]) -> str:
    return f"{row['action']:<10}  {plain(row['path'])}" + (f": {row['error']}" if row["error"] else "")
